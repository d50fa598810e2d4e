package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. All targets of the kind share the folders, so that
// it does not matter which one is asked.
func (d Driver) Kept(_ context.Context, t target.Target) ([]target.Kept, error) {
	jobs, err := list(filepath.Join(d.Dir, "jobs"), target.KeptJob)
	if err != nil {
		return nil, err
	}
	marks, err := list(filepath.Join(d.Dir, "cleaned"), target.KeptMark)
	if err != nil {
		return nil, err
	}
	envs, err := d.keptEnvironments(jobs)
	return slices.Concat(jobs, marks, envs), err
}

// list lists the folders of jobs, or the marks of those that were cleaned.
func list(dir string, what target.What) ([]target.Kept, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []target.Kept
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !target.ValidID(e.Name()) {
			continue // it was removed meanwhile, or is none of ours
		}
		k := target.Kept{What: what, Name: e.Name(), Used: info.ModTime()}
		if e.IsDir() {
			k.Bytes = jobdir.Size(filepath.Join(dir, e.Name()))
		}
		all = append(all, k)
	}
	return all, err
}

func (d Driver) keptEnvironments(jobs []target.Kept) ([]target.Kept, error) {
	envs, err := d.environments().Kept()
	if err != nil || len(envs) == 0 {
		return nil, err
	}
	users, err := d.venvs(jobs)
	if err != nil {
		return nil, err
	}
	all := make([]target.Kept, len(envs))
	for i, e := range envs {
		all[i] = target.Kept{What: target.KeptEnvironment, Name: e.Digest, Bytes: e.Bytes, Used: e.Used, Users: users[e.Venv]}
	}
	return all, nil
}

// venvs tells which environments are used by the jobs, and by deployments. A record
// that cannot be read is an error: it may name any.
func (d Driver) venvs(jobs []target.Kept) (map[string][]string, error) {
	users, err := d.endpoints().Venvs()
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		f, err := d.folder(j.Name)
		if err != nil {
			return nil, err
		}
		r, _, err := f.read()
		if err != nil {
			return nil, fmt.Errorf("read which environment job %q uses: %w", j.Name, err)
		}
		if r.Venv != "" {
			users[r.Venv] = append(users[r.Venv], j.Name)
		}
	}
	return users, nil
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	switch k.What {
	case target.KeptJob:
		return d.sweepJob(ctx, t, k.Name)
	case target.KeptMark:
		return d.sweepMark(k.Name, before)
	case target.KeptEnvironment:
		return d.sweepEnvironment(ctx, t, k.Name, before)
	}
	return false, nil
}

func (d Driver) sweepJob(ctx context.Context, t target.Target, id string) (bool, error) {
	f, err := d.folder(id)
	if err != nil || !f.exists() {
		return false, err
	}
	err = d.Clean(ctx, t, id)
	if errors.Is(err, jobdir.ErrRunning) {
		return false, nil
	}
	return err == nil, err
}

// sweepMark removes the mark of a job that is long gone.
func (d Driver) sweepMark(id string, before time.Time) (bool, error) {
	f, err := d.folder(id)
	if err != nil || f.exists() {
		return false, err
	}
	info, err := os.Lstat(d.tombstone(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.ModTime().Before(before) {
		return false, err
	}
	return true, os.Remove(d.tombstone(id))
}

// sweepEnvironment removes an environment that nothing uses. A job that takes it from
// now on marks it first; see package pyenv.
func (d Driver) sweepEnvironment(ctx context.Context, t target.Target, digest string, before time.Time) (bool, error) {
	all, err := d.Kept(ctx, t)
	if err != nil {
		return false, err
	}
	for _, k := range all {
		if k.What == target.KeptEnvironment && k.Name == digest && len(k.Users) > 0 {
			return false, nil
		}
	}
	return d.environments().Remove(digest, before)
}
