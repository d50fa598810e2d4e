package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Cancel implements target.Driver.
func (d Driver) Cancel(_ context.Context, t target.Target, id string, why target.Cause) error {
	f, err := d.folder(id)
	if err != nil || exists(d.tombstone(id)) {
		return err
	}
	if err := f.cancel(why); err != nil {
		return fmt.Errorf("cancel job %q: %w", id, err)
	}
	return nil
}

// cancel marks rank 0 first, also when nothing was submitted yet: a submission
// looks at that mark before it starts any rank.
func (f folder) cancel(why target.Cause) error {
	if r, ok, err := f.read(); ok || err != nil {
		return errors.Join(err, f.each(r, why, func(int) bool { return true }))
	}
	if err := f.stopRank(0, why, 0); err != nil {
		return err
	}
	r, ok, err := f.read() // written meanwhile?
	if !ok {
		return err
	}
	return f.each(r, why, func(int) bool { return true })
}

// stop stops the ranks that were not asked to stop before.
func (f folder) stop(r record, why target.Cause) error {
	return f.each(r, why, func(n int) bool { return !jobdir.Stopping(f.rank(n)) })
}

func (f folder) each(r record, why target.Cause, wanted func(rank int) bool) error {
	var errs []error
	for n := range r.Job.Ranks() {
		if wanted(n) {
			errs = append(errs, f.stopRank(n, why, r.Job.Grace))
		}
	}
	return errors.Join(errs...)
}

func (f folder) stopRank(n int, why target.Cause, grace time.Duration) error {
	if err := os.MkdirAll(f.rank(n), 0o700); err != nil {
		return err
	}
	return jobdir.Stop(f.rank(n), string(why), grace)
}

// Clean implements target.Driver. It leaves an empty file with the job's name, its
// tombstone, because a submission that was under way all the time must still not start it
// a second time.
func (d Driver) Clean(ctx context.Context, t target.Target, id string) error {
	f, err := d.folder(id)
	if err != nil || !f.exists() {
		return err
	}
	lock, err := jobdir.Lock(ctx, f.path("job.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is being cleaned
	}
	if err != nil {
		return fmt.Errorf("clean job %q: %w", id, err)
	}
	defer lock.Close()
	if !f.exists() {
		return nil // it was cleaned while we waited
	}
	if err := d.clean(f, id, lock); err != nil {
		return fmt.Errorf("clean job %q: %w", id, err)
	}
	return nil
}

// Cleaned reports whether a job was cleaned here.
func (d Driver) Cleaned(id string) bool { return exists(d.tombstone(id)) }

func (d Driver) clean(f folder, id string, lock *os.File) error {
	r, _, err := f.read()
	if err != nil {
		return err
	}
	betray(id)
	views, err := f.look(r.Job.Ranks())
	if err != nil {
		return err
	}
	for _, v := range views {
		if v.Phase == jobdir.Running {
			return fmt.Errorf("cancel it first: %w", jobdir.ErrRunning)
		}
	}
	if err := d.bury(f, id); err != nil {
		return err
	}
	if err := lock.Truncate(0); err != nil {
		return err
	}
	ranks, err := filepath.Glob(f.path("ranks", "*"))
	if err != nil {
		return err
	}
	for _, dir := range append(ranks, f.rank(0)) {
		if err := jobdir.Release(dir); err != nil {
			return err
		}
	}
	return d.discard(f, id, r.Confided)
}

// bury makes the record of a job its tombstone: a file less to make, and one less
// to remove. Whoever waits for the lock of the record finds the tombstone then.
func (d Driver) bury(f folder, id string) error {
	err := os.Rename(f.path("job.json"), d.tombstone(id))
	if !errors.Is(err, fs.ErrNotExist) || exists(d.tombstone(id)) {
		return ignoreMissing(err)
	}
	if err := os.MkdirAll(filepath.Dir(d.tombstone(id)), 0o700); err != nil {
		return err
	}
	return os.Rename(f.path("job.json"), d.tombstone(id))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
