package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// causePeer is why a rank is stopped when another one has failed.
const causePeer target.Cause = "peer"

// Status implements target.Driver. It also does what has become due: it stops
// a job that outlasts its timeout, and the other ranks of one that has failed, and
// shortens logs.
func (d Driver) Status(_ context.Context, t target.Target, id string) (target.Status, error) {
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
	views, err := f.look(r.Needs.Nodes)
	if err = errors.Join(err, f.trim(r)); err != nil {
		return target.Status{}, err
	}
	if slices.ContainsFunc(views, func(v jobdir.View) bool { return !ended(v) }) {
		return f.statusOfRunning(r, views)
	}
	return verdict(r, views), nil
}

// trim leaves out the middle of logs that have grown too long. It is done by whoever
// looks, since the job writes to the file and to no one else.
func (f folder) trim(r record) error {
	for n := range r.Needs.Nodes {
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

func ended(v jobdir.View) bool { return v.Phase == jobdir.Ended || v.Phase == jobdir.Lost }

func failed(v jobdir.View) bool {
	return ended(v) && (v.Phase == jobdir.Lost || v.Status != 0 || v.Stopped != "")
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
	st := target.Status{State: target.Waiting, Notes: notes(views), Start: begin(views)}
	for _, v := range views {
		if v.Phase != jobdir.New {
			st.State = target.Running
		}
	}
	if n := decides(views); n >= 0 {
		return st, f.stop(r, causeForPeers(views[n]))
	}
	if over := r.Job.Timeout > 0 && !st.Start.IsZero() && time.Since(st.Start) > r.Job.Timeout; over {
		return st, f.stop(r, target.CauseTimeout)
	}
	return st, nil
}

// causeForPeers tells why the other ranks stop: for the same reason when a
// person or a timeout stopped the first one, else because of it.
func causeForPeers(first jobdir.View) target.Cause {
	if first.Stopped != "" {
		return target.Cause(first.Stopped)
	}
	return causePeer
}

// decides returns the rank that failed first, not counting those that we
// stopped for the sake of another, or -1.
func decides(views []jobdir.View) int {
	first := -1
	for n, v := range views {
		if failed(v) && v.Stopped != string(causePeer) && (first < 0 || v.End.Before(views[first].End)) {
			first = n
		}
	}
	return first
}

// verdict tells how a job ended. It depends on nothing but the ends of the
// ranks, which never change.
func verdict(r record, views []jobdir.View) target.Status {
	n := decides(views)
	if n < 0 {
		n = 0
	}
	v := views[n]
	st := target.Status{State: target.Succeeded, Exit: v.Status, Signal: v.Signal(), Rank: n, Notes: notes(views), Start: begin(views), End: finish(views)}
	if !failed(v) {
		return st
	}
	st.State, st.Cause, st.Reason = explain(r, v)
	if r.Needs.Nodes > 1 {
		st.Reason = fmt.Sprintf("rank %d: %s", n, st.Reason)
	}
	return st
}

// explain says in a word and in a sentence why a rank failed.
func explain(r record, v jobdir.View) (target.State, target.Cause, string) {
	switch {
	case v.Phase == jobdir.Lost:
		return target.Lost, target.CauseLost, v.Reason
	case v.Stopped == string(target.CauseTimeout):
		return target.Failed, target.CauseTimeout, fmt.Sprintf("stopped after its timeout of %v", r.Job.Timeout)
	case v.Stopped == string(causePeer):
		return target.Failed, target.CauseExit, "stopped because another rank failed"
	case v.Stopped == string(target.CausePreempted):
		return target.Failed, target.CausePreempted, "it was preempted: asked to end, since its machine is wanted for something else"
	case v.Stopped != "":
		return target.Cancelled, target.Cause(v.Stopped), "it was cancelled"
	case v.Unstarted:
		return target.Failed, target.CauseStart, whyUnstarted(r, v.Status)
	case v.OOM && r.Needs.Memory > 0:
		return target.Failed, target.CauseOOM, fmt.Sprintf("out of memory: the limit is %s; ask for more as `memory` of the stage", jobdir.FormatBytes(r.Needs.Memory))
	case v.Signal() > 0:
		return target.Failed, target.CauseSignal, fmt.Sprintf("ended by signal %d (%v)", v.Signal(), syscall.Signal(v.Signal()))
	}
	return target.Failed, target.CauseExit, fmt.Sprintf("exit code %d", v.Status)
}

// whyUnstarted puts the two statuses for a command that could not be executed
// into words: 127 when it was not found, 126 when it is no program.
func whyUnstarted(r record, status int) string {
	what, name := "command", r.Shell
	if len(r.Job.Command) > 0 {
		name = r.Job.Command[0]
	} else {
		what = "shell"
	}
	path := hostPart(r.Job.Host)["PATH"]
	if p, ok := r.Job.Env["PATH"]; ok {
		path = p
	}
	if r.Venv != "" {
		path = filepath.Join(r.Venv, "bin") + string(filepath.ListSeparator) + path
	}
	switch {
	case status != 127:
		return fmt.Sprintf("the %s %q cannot be executed: is it a program, and is it marked executable? The log has the system's words", what, name)
	case strings.Contains(name, "/"):
		return fmt.Sprintf("the %s %q was not found, or the interpreter that its first line names", what, name)
	}
	return fmt.Sprintf("the %s %q was not found in PATH (%s): install it, or name the program by its path", what, name, path)
}

func notes(views []jobdir.View) []string {
	var all []string
	for _, v := range views {
		for _, note := range v.Notes {
			if !slices.Contains(all, note) {
				all = append(all, note)
			}
		}
	}
	return all
}

// begin is when the first rank started, finish when the last one ended.
func begin(views []jobdir.View) (first time.Time) {
	for _, v := range views {
		if !v.Start.IsZero() && (first.IsZero() || v.Start.Before(first)) {
			first = v.Start
		}
	}
	return first
}

func finish(views []jobdir.View) (last time.Time) {
	for _, v := range views {
		if v.End.After(last) {
			last = v.End
		}
	}
	return last
}
