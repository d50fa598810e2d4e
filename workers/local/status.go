package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// Status implements target.Driver. It also does what has become due: it stops
// a job that outlasts its timeout, and the other ranks of one that has failed, and
// shortens logs.
func (d Driver) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	f, err := d.folder(id)
	if err != nil || !f.exists() {
		return unknown(), nil
	}
	if f.ofBefore() {
		return f.outdated()
	}
	r, ok, err := f.read()
	if err == nil && !ok {
		if !jobdir.Started(f.rank(0)) {
			return d.statusOfUnfilled(f, id)
		}
		// It was written before the start, so it is there now if it ever is.
		if r, ok, err = f.read(); err == nil && !ok {
			return f.unreadable()
		}
	}
	if err != nil {
		return target.Status{}, fmt.Errorf("read the record of job %q: %w", id, err)
	}
	views, err := f.look(r.Job.Ranks())
	if err = errors.Join(err, f.trim(r)); err != nil {
		return target.Status{}, err
	}
	if r.waits() && !d.Deals && !f.started() && !jobdir.Stopping(f.rank(0)) {
		why, err := d.borrow(ctx, f, r)
		return target.Status{State: target.Waiting, Reason: why}, err
	}
	if slices.ContainsFunc(views, func(v jobdir.View) bool { return !ranks.Ended(v) }) {
		return f.statusOfRunning(r, views)
	}
	return verdict(r, views), nil
}

// trim leaves out the middle of logs that have grown too long. It is done by whoever
// looks, since the job writes to the file and to no one else.
func (f folder) trim(r record) error {
	for n := range r.Job.Ranks() {
		why := "a log is kept up to " + jobdir.FormatBytes(r.Log) + ", which `log` of the target sets"
		if err := jobdir.Trim(f.rank(n), r.Log, why); err != nil {
			return fmt.Errorf("shorten the log of rank %d: %w", n, err)
		}
	}
	return nil
}

func unknown() target.Status {
	return target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "this computer knows no such job"}
}

// forgotten is a job that was started, and whose record was not on the disk when the
// machine went down.
// unreadable is a job that was started and has no record, or none that can be read. Lost
// is what is not alive, so whatever may be left of it is killed.
func (f folder) unreadable() (target.Status, error) {
	st := target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "the machine was restarted while it ran"}
	if exists(f.path("job.json")) {
		st.Reason = fmt.Sprintf("its record %q cannot be read", f.path("job.json"))
	}
	return st, jobdir.Kill(f.rank(0))
}

// ofBefore reports whether a job was started by a version that laid out its folder in
// another way: rank 0 had a folder of its own.
func (f folder) ofBefore() bool { return exists(f.path("ranks", "0", "starting")) }

// outdated is such a job. It cannot be followed, so that it is ended, and never started
// again under this id.
func (f folder) outdated() (target.Status, error) {
	st := target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "it was started by an earlier version of amlflow, whose jobs this one cannot follow"}
	return st, jobdir.Kill(f.path("ranks", "0"))
}

// statusOfUnfilled looks at a job whose submission is under way, or died, or
// will never be because the job was cancelled first.
func (d Driver) statusOfUnfilled(f folder, id string) (target.Status, error) {
	switch {
	case exists(d.tombstone(id)):
		return unknown(), nil
	case !jobdir.Stopping(f.rank(0)):
		return target.Status{State: target.Waiting, Reason: f.awaited()}, nil
	}
	views, err := f.look(1)
	if err != nil {
		return target.Status{}, err
	}
	return verdict(record{Needs: target.Resources{Nodes: 1}}, views), nil
}

func (f folder) statusOfRunning(r record, views []jobdir.View) (target.Status, error) {
	st := verdict(r, views)
	if n := ranks.Decides(views); n >= 0 {
		return st, f.stop(r, ranks.PeerCause(views[n]))
	}
	if over := r.Job.Timeout > 0 && !st.Start.IsZero() && time.Since(st.Start) > r.Job.Timeout; over {
		return st, f.stop(r, target.CauseTimeout)
	}
	return st, nil
}

// verdict tells how a job ended; see ranks.Verdict.
func verdict(r record, views []jobdir.View) target.Status {
	return ranks.Verdict(r.facts(), views)
}

func (r record) facts() ranks.Facts {
	f := ranks.Facts{Nodes: r.Job.Ranks(), Timeout: r.Job.Timeout, Memory: r.share().Memory, Program: r.Shell, Script: true, Path: hostPart(r.Job.Host)["PATH"]}
	if len(r.Job.Command) > 0 {
		f.Program, f.Script = r.Job.Command[0], false
	}
	if p, ok := r.Job.Env["PATH"]; ok {
		f.Path = p
	}
	if r.Venv != "" {
		f.Path = filepath.Join(r.Venv, "bin") + string(filepath.ListSeparator) + f.Path
	}
	return f
}
