// Package local runs jobs as processes of this computer.
//
//	targets:
//	  local: { kind: local }
//	  pair:  { kind: local, nodes: 2, cpus: 1, memory: 2Gi }
//
// A job is a folder, and the folder is all there is to know about it:
//
//	jobs/<id>/job.json         what to run; once it is whole the folder is complete. Locked by whoever submits or cleans
//	jobs/<id>/in/<name>        the inputs, shared by all ranks, to be read only
//	jobs/<id>/                 the process folder of rank 0, too, see package jobdir, and in it:
//	    code/                  the rank's own copy of the code, its working directory; its checkpoints are in a folder of it
//	    out/<name>             its outputs; those of rank 0 are collected
//	    outputs.json           the values it reports; those of rank 0 count
//	    metrics.jsonl          the metrics it reports; those of rank 0 count
//	    script, tmp/           the stage's script, and TMPDIR
//	    tracked/               what it logs with the client of MLflow, see package tracking
//	jobs/<id>/ranks/<n>/       the process folder of each other rank, with the same in it
//	gpus/lending.json          who has which GPUs, and who waits for some
//	envs/<digest>/             Python environments, used by every job that asks for the same, see package pyenv
//	cleaned/<id>               an empty file: the job was cleaned and must not start again
//	removed/<time>.<id>        the folder of a cleaned job, which is removed when nothing starts
//
// Files cost more than anything else that is done here, so there are few, and none
// is made before it is needed.
//
// The law of the disk: job.json and the tombstones are never synced. A job.json that
// the machine forgot, or half of it, is written again unless the job was started,
// which package jobdir makes durable; then the job is lost. A tombstone is there for
// submissions that are under way, and none of them survives the machine. Status may
// tell of an end before it is durable; Collect returns once it is, and with it all
// that was collected.
//
// A job outlives whoever started it, and there is no process of ours that waits
// for its end: a timeout and the KILL after a grace period happen when Status
// is asked the next time.
package local

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/tracking"
)

//go:embed settings.schema.json
var settingsSchema []byte

// Driver runs jobs and serves models in folders below Dir, an absolute path.
type Driver struct {
	Dir string
	// StartGateway starts a process that calls gateway.Main with dir, in its own
	// session. When it is nil endpoints are recorded, and served by whoever has one.
	StartGateway func(dir string) error
	// Tracking answers jobs that log with the client of MLflow; nil: nobody does.
	Tracking *tracking.Service
	// Deals tells that GPUs are dealt out by whoever starts jobs, with StartWith: nobody has
	// a place in a list here.
	Deals bool
}

var _ target.Driver = Driver{}

// Kind implements target.Driver.
func (Driver) Kind() target.Kind {
	return target.Kind{Name: "local", Summary: "processes of this computer", Settings: settingsSchema}
}

// Can implements target.Driver.
func (d Driver) Can(t target.Target) target.Can {
	s, err := readSettings(t)
	if err != nil {
		s.Nodes = 1
	}
	_, serves := any(d).(target.Server)
	return target.Can{Nodes: max(s.Nodes, 1), Python: true, Launch: true, GPU: len(s.GPUs) > 0, Serve: serves, Route: serves, Checkpoints: true, Memory: target.HoldMaybe, CPUs: target.HoldMaybe}
}

// Check implements target.Driver.
func (d Driver) Check(ctx context.Context, t target.Target) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(s.Shell); err != nil {
		return fmt.Errorf("the shell %q of target %q was not found: install it, or name another as `shell` of the target: %w", s.Shell, t.Name, err)
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		return fmt.Errorf("this computer has no /bin/sh, which watches over jobs: install a POSIX shell: %w", err)
	}
	if err := s.GPUs.present(ctx, t.Name); err != nil {
		return err
	}
	if err := d.writable(); err != nil {
		return fmt.Errorf("jobs cannot be kept in %q: make the folder writable, or choose another state folder: %w", d.Dir, err)
	}
	return nil
}

func (d Driver) writable() error {
	if err := os.MkdirAll(filepath.Join(d.Dir, "jobs"), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.Dir, ".check.*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// folder is the folder of one job.
type folder string

func (d Driver) folder(id string) (folder, error) {
	if !target.ValidID(id) {
		return "", fmt.Errorf("%q cannot name a job: use lower-case letters, digits and . _ - and at most 200 of them: %w", id, target.ErrPermanent)
	}
	return folder(filepath.Join(d.Dir, "jobs", id)), nil
}

func (d Driver) tombstone(id string) string { return filepath.Join(d.Dir, "cleaned", id) }

func (f folder) path(parts ...string) string {
	return filepath.Join(append([]string{string(f)}, parts...)...)
}

// rank returns the process folder of rank n. Most jobs have one rank, and no folder
// for it alone.
func (f folder) rank(n int) string {
	if n == 0 {
		return string(f)
	}
	return f.path("ranks", strconv.Itoa(n))
}

func (f folder) exists() bool { return exists(string(f)) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// look looks at every rank of a job.
func (f folder) look(nodes int) ([]jobdir.View, error) {
	views := make([]jobdir.View, nodes)
	for n := range views {
		var err error
		if views[n], err = jobdir.Look(f.rank(n)); err != nil {
			return nil, fmt.Errorf("look at rank %d of the job: %w", n, err)
		}
	}
	return views, nil
}
