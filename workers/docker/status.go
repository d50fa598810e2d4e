package docker

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/api/types/container"
)

// Status implements target.Driver. It also does what has become due: it stops a job
// that outlasts its timeout, and kills one that outstays its grace.
func (d Driver) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	if !target.ValidID(id) {
		return lost("the container engine knows no such job"), nil
	}
	e, err := connect(t)
	if err != nil {
		return target.Status{}, err
	}
	f, err := e.find(ctx, id)
	if err != nil {
		return target.Status{}, err
	}
	w, stopped, err := e.wish(ctx, id)
	if err != nil {
		return target.Status{}, err
	}
	if f.box == nil || !started(f.box) {
		st := f.unstarted(w, stopped)
		if st.State == target.Waiting && f.box != nil {
			st.Reason, err = d.lend(ctx, e, id, f.box)
		}
		return st, err
	}
	r, err := recordOf(*f.box)
	if err != nil {
		return target.Status{}, err
	}
	if running(f.box) {
		st := target.Status{State: target.Running, Start: moment(f.box.State.StartedAt), Notes: r.notes()}
		return st, d.enforce(ctx, e, id, f.box, r, w, stopped)
	}
	return e.verdict(ctx, f.box, r, w, stopped)
}

// connect opens the engine of a target.
func connect(t target.Target) (*engine, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	return open(s.address)
}

func lost(why string) target.Status {
	return target.Status{State: target.Lost, Cause: target.CauseLost, Reason: why}
}

// unstarted is how a job is of which nothing runs or ran.
func (f found) unstarted(w wish, stopped bool) target.Status {
	switch {
	case stopped:
		code := 128 + int(syscall.SIGTERM)
		return target.Status{State: target.Cancelled, Cause: w.cause, Reason: "it was cancelled before it started", Exit: code, Signal: int(syscall.SIGTERM), End: w.at}
	case f.box != nil, f.drafts:
		return target.Status{State: target.Waiting}
	case f.marked:
		return lost("its container is gone: somebody removed it, or the job was cleaned")
	}
	return lost("the container engine knows no such job")
}

// notes are for people: which image it is, as a registry finds it again.
func (r record) notes() []string {
	if r.Asked == r.Image {
		return nil
	}
	return []string{fmt.Sprintf("the image %s is %s", r.Asked, r.Image)}
}

// enforce does to a running container what is due.
func (d Driver) enforce(ctx context.Context, e *engine, id string, box *container.InspectResponse, r record, w wish, stopped bool) error {
	start := moment(box.State.StartedAt)
	switch {
	case box.State.Status == stopping:
		return nil // the engine is at it, and counts the grace itself
	case stopped && time.Since(w.asked) > r.Grace:
		return e.kill(ctx, box.ID)
	case stopped || r.Timeout <= 0 || time.Since(start) <= r.Timeout:
		return nil
	}
	// That was our clock, and the start is by the engine's.
	now, err := e.now(ctx)
	if err != nil || now.Sub(start) <= r.Timeout {
		return err
	}
	return d.stop(ctx, e, id, target.CauseTimeout)
}

// verdict tells how a job ended. It depends on nothing that changes afterwards.
func (e *engine) verdict(ctx context.Context, box *container.InspectResponse, r record, w wish, stopped bool) (target.Status, error) {
	start, end, code := moment(box.State.StartedAt), moment(box.State.FinishedAt), box.State.ExitCode
	asked := stopped && !end.Before(w.at)
	if code < 0 && asked {
		code = 128 + int(syscall.SIGKILL) // nobody has seen it, and it was to end
	}
	if end.IsZero() || code < 0 {
		return lostAt(r, start, end), nil
	}
	st := target.Status{State: target.Failed, Exit: code, Signal: signalOf(code), Start: start, End: end, Notes: r.notes()}
	if end.Before(start) { // the engine stamps them by two clocks
		st.End = start
	}
	if asked {
		st.State, st.Cause, st.Reason = target.Cancelled, w.cause, "it was cancelled"
		switch w.cause {
		case target.CauseTimeout:
			st.State, st.Reason = target.Failed, r.overtime()
		case target.CausePreempted:
			st.State, st.Reason = target.Failed, "it was preempted: asked to end, since its machine is wanted for something else"
		}
		return st, nil
	}
	if r.Timeout > 0 && end.Sub(start) >= r.Timeout {
		if late, err := e.has(ctx, box.ID, overtimeFile, r); late || err != nil {
			st.Cause, st.Reason = target.CauseTimeout, r.overtime()
			return st, err
		}
	}
	if code == 0 {
		st.State = target.Succeeded
		return st, nil
	}
	var err error
	if st.Rank, err = e.decider(ctx, box, r); err != nil {
		return st, err
	}
	switch code {
	case 126, 127:
		if unstarted, err := e.has(ctx, box.ID, ofRank(st.Rank, unstartedFile), r); unstarted || err != nil {
			st.Cause, st.Reason = target.CauseStart, r.of(st.Rank, r.whyUnstarted(code))
			return st, err
		}
	case 255:
		if said, err := e.has(ctx, box.ID, exitFile, r); !r.Bare && !said || err != nil {
			return lostAt(r, start, end), err
		}
	}
	oom := box.State.OOMKilled
	if r.Memory > 0 && !oom {
		var err error
		if oom, err = e.has(ctx, box.ID, memoryFile, r); err != nil {
			return st, err
		}
	}
	st.Cause, st.Reason = r.explain(code, oom)
	st.Reason = r.of(st.Rank, st.Reason)
	return st, nil
}

// of says of which rank a reason is, where there are several.
func (r record) of(rank int, reason string) string {
	if r.ranks() == 1 {
		return reason
	}
	return fmt.Sprintf("rank %d: %s", rank, reason)
}

// lostAt is a job that was running when the engine went down, or the process that
// watches over its container.
func lostAt(r record, start, end time.Time) target.Status {
	st := lost("the container engine, or its machine, was restarted while it ran")
	st.Start, st.End, st.Notes = start, end, r.notes()
	return st
}

// explain says in a word and in a sentence why a job failed by itself.
func (r record) explain(code int, oom bool) (target.Cause, string) {
	switch n := signalOf(code); {
	case oom && r.Memory > 0:
		return target.CauseOOM, fmt.Sprintf("out of memory: the limit is %s; ask for more as `memory` of the stage", jobdir.FormatBytes(r.Memory))
	case n > 0:
		return target.CauseSignal, fmt.Sprintf("ended by signal %d (%v)", n, syscall.Signal(n))
	}
	return target.CauseExit, fmt.Sprintf("exit code %d", code)
}

// signalOf returns the signal that an exit code stands for, by the convention of
// shells, or 0.
func signalOf(code int) int {
	if code > 128 && code < 128+32 {
		return code - 128
	}
	return 0
}

func (r record) overtime() string { return fmt.Sprintf("stopped after its timeout of %v", r.Timeout) }

func (r record) whyUnstarted(code int) string {
	name := r.Program
	if name == "" {
		name = shell
	}
	switch {
	case code != 127:
		return fmt.Sprintf("the command %q cannot be executed: is it a program, and is it marked executable? The log has the system's words", name)
	case strings.Contains(name, "/"):
		return fmt.Sprintf("the command %q was not found in the image %q, or the interpreter that its first line names", name, r.Asked)
	}
	return fmt.Sprintf("the command %q was not found in the PATH of the image %q: use an image that has it, or name the program by its path", name, r.Asked)
}
