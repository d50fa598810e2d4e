package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// step is called between the steps of Submit, so that tests can die there.
var step = func(name string) {}

// Submit implements target.Driver.
func (d Driver) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	f, err := d.folder(job.ID)
	if err != nil {
		return err
	}
	if f.started() || f.ofBefore() {
		d.Tracking.Watch(string(f))
		return nil
	}
	r, err := newRecord(t, job)
	if err != nil {
		return err
	}
	if !r.waits() {
		return d.submit(ctx, f, r, in, f.start)
	}
	if err := d.submit(ctx, f, r, in, stay); err != nil {
		return err
	}
	return d.queue(ctx, f, job)
}

// stay is what is next for a job that has to wait.
func stay(context.Context, record) error { return nil }

// started reports whether every rank of the job was started already.
func (f folder) started() bool {
	r, ok, err := f.read()
	if err != nil || !ok {
		return false
	}
	for n := range r.Job.Ranks() {
		if !jobdir.Started(f.rank(n)) {
			return false
		}
	}
	return true
}

// forgotten reports whether the machine went down after it had started the job, and
// before the record of it was on the disk: the job is lost, and no rank of it may
// start now.
func (f folder) forgotten(nodes int) bool {
	if _, ok, err := f.read(); ok || err != nil {
		return false
	}
	for n := range nodes {
		if jobdir.Started(f.rank(n)) {
			return true
		}
	}
	return false
}

// submit fills the folder and goes on with what is next, alone among all submissions and
// cleanings of the job.
func (d Driver) submit(ctx context.Context, f folder, r record, in target.Blobs, next func(context.Context, record) error) error {
	if exists(d.tombstone(r.Job.ID)) {
		return nil
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return fmt.Errorf("make the folder of the job: %w", err)
	}
	lock, err := jobdir.Lock(ctx, f.path("job.json"))
	if errors.Is(err, fs.ErrNotExist) && exists(d.tombstone(r.Job.ID)) {
		return nil // it was cleaned just now
	}
	if err != nil {
		return fmt.Errorf("lock the folder of the job: %w", err)
	}
	defer lock.Close()
	if exists(d.tombstone(r.Job.ID)) {
		return jobdir.RemoveTree(string(f)) // it was cleaned while we waited
	}
	if jobdir.Stopping(f.rank(0)) {
		return nil
	}
	if f.forgotten(r.Job.Ranks()) {
		return nil
	}
	step("locked")
	r.Tracking = d.admit(f, r.Job)
	secrets, lent := r.Job.Secrets, r.Lent // they are in no record, so that of an earlier submission lacks them
	if r, err = f.fill(ctx, d.environments(), r, in, lock); err != nil {
		return fmt.Errorf("prepare job %q: %w", r.Job.ID, err)
	}
	r.Job.Secrets, r.Lent = secrets, lent
	step("filled")
	return next(ctx, r)
}

// fill makes the folder complete and returns its record: the one that is there
// already, or r. What a submission that died has left is made anew, and so is
// what may not have reached the disk before the machine was restarted. The record
// goes to file, which is job.json and locked.
func (f folder) fill(ctx context.Context, envs pyenv.Folder, r record, in target.Blobs, file *os.File) (record, error) {
	old, ok, err := f.read()
	if err != nil {
		return r, err
	}
	if ok && (old.Boot == r.Boot || jobdir.Started(f.rank(0))) {
		return old, nil
	}
	// First, because it may fail where all that follows would have been in vain.
	if r.Venv, err = f.equip(ctx, envs, r.Job); err != nil {
		return r, err
	}
	if r.Port, err = freePorts(ranks.Ports(r.Job)); err != nil {
		return r, err
	}
	if err := f.deliver(ctx, r, in); err != nil {
		return r, err
	}
	for n := range r.Job.Ranks() {
		if err := f.furnish(ctx, n, r, in); err != nil {
			return r, err
		}
	}
	step("delivered")
	text, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	// What is half written is no JSON, so readers need no lock, and no rename.
	if err := file.Truncate(0); err != nil {
		return r, err
	}
	_, err = file.WriteAt(text, 0)
	return r, err
}

// deliver puts the inputs in place.
func (f folder) deliver(ctx context.Context, r record, in target.Blobs) error {
	if len(r.Job.Inputs) == 0 {
		return nil
	}
	if err := freshDir(f.path("in")); err != nil {
		return err
	}
	for _, a := range r.Job.Inputs {
		if err := target.Get(ctx, in, a.Ref, f.path("in", a.Name)); err != nil {
			return fmt.Errorf("input %q: %w", a.Name, err)
		}
	}
	return nil
}

// furnish gives rank n its code, its script and the places for its outputs.
func (f folder) furnish(ctx context.Context, n int, r record, in target.Blobs) error {
	dir := f.rank(n)
	folders := []string{"code", "tmp"}
	if len(r.Job.Outputs) > 0 {
		folders = append(folders, "out")
	}
	for _, name := range folders {
		if err := freshDir(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if r.Job.Code != "" {
		if err := target.GetTree(ctx, in, r.Job.Code, filepath.Join(dir, "code")); err != nil {
			return fmt.Errorf("code: %w", err)
		}
	}
	if err := f.restore(ctx, n, r.Job.Checkpoint, in); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	for _, a := range r.Job.Outputs {
		if a.Type == target.File {
			continue
		}
		if err := os.Mkdir(filepath.Join(dir, "out", a.Name), 0o755); err != nil {
			return err
		}
	}
	if err := r.listHosts(dir); err != nil {
		return err
	}
	if r.Job.Script == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "script"), []byte(r.Job.Script), 0o600)
}

// freshDir makes the folder at path, in place of what a submission that died has
// left there.
func freshDir(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		err = jobdir.RemoveTree(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.MkdirAll(path, 0o755)
}

// start starts every rank that was not started yet.
func (f folder) start(ctx context.Context, r record) error {
	lastStart.Store(time.Now().Unix())
	for n := range r.Job.Ranks() {
		// A Cancel that came before this look has marked rank 0; one that comes
		// after it finds job.json and marks this rank, too.
		if jobdir.Stopping(f.rank(0)) {
			return nil
		}
		if err := jobdir.Start(ctx, f.rank(n), f.process(n, r)); err != nil {
			return fmt.Errorf("start job %q: %w", r.Job.ID, err)
		}
		step("started " + strconv.Itoa(n))
	}
	return nil
}

// process is what runs as rank n.
func (f folder) process(n int, r record) jobdir.Process {
	return jobdir.Process{
		Argv:    f.argv(n, r),
		Env:     f.environ(n, r),
		Secrets: variables(r.Job.Secrets),
		Work:    filepath.Join(f.rank(n), "code"),
		Memory:  r.share().Memory,
		CPUs:    r.share().CPUs,
	}
}

func (f folder) argv(n int, r record) []string {
	if len(r.Job.Command) > 0 {
		return r.Job.Command
	}
	return []string{r.Shell, "-e", filepath.Join(f.rank(n), "script")}
}
