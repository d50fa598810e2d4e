// Package ranks knows what the processes of one job have in common on every target:
// what they are told about each other, and how the end of the job follows from theirs.
package ranks

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Peer is why a rank is stopped when another one has failed.
const Peer target.Cause = "peer"

// Facts is what a verdict needs to know of a job beside the ends of its ranks.
type Facts struct {
	Nodes   int // how many ranks there are
	Timeout time.Duration
	Memory  int64  // the bytes that a rank may use; 0: any
	Program string // the command, or the shell that runs the script
	Script  bool   // Program is the shell
	Path    string // where Program is looked up
}

// Ended reports whether v is the end of a process.
func Ended(v jobdir.View) bool { return v.Phase == jobdir.Ended || v.Phase == jobdir.Lost }

func failed(v jobdir.View) bool {
	return Ended(v) && (v.Phase == jobdir.Lost || v.Status != 0 || v.Stopped != "")
}

// Decides returns the rank that failed first, not counting those that we stopped for
// the sake of another, or -1.
func Decides(views []jobdir.View) int {
	first := -1
	for n, v := range views {
		if failed(v) && v.Stopped != string(Peer) && (first < 0 || v.End.Before(views[first].End)) {
			first = n
		}
	}
	return first
}

// PeerCause tells why the other ranks stop: for the same reason when a person or a
// timeout stopped the first one, else because of it.
func PeerCause(first jobdir.View) target.Cause {
	if first.Stopped != "" {
		return target.Cause(first.Stopped)
	}
	return Peer
}

// Verdict tells how a job ended. It depends on nothing but the ends of the ranks, which
// never change. As long as one of them has not ended, the job waits or runs.
func Verdict(f Facts, views []jobdir.View) target.Status {
	if slices.ContainsFunc(views, func(v jobdir.View) bool { return !Ended(v) }) {
		return unended(views)
	}
	n := max(Decides(views), 0)
	v := views[n]
	st := target.Status{State: target.Succeeded, Exit: v.Status, Signal: v.Signal(), Rank: n, Notes: Notes(views), Start: Begin(views), End: finish(views)}
	if !failed(v) {
		return st
	}
	st.State, st.Cause, st.Reason = f.explain(v)
	if f.Nodes > 1 {
		st.Reason = fmt.Sprintf("rank %d: %s", n, st.Reason)
	}
	return st
}

// unended is the status of a job of which a rank has not ended.
func unended(views []jobdir.View) target.Status {
	st := target.Status{State: target.Waiting, Notes: Notes(views), Start: Begin(views)}
	if slices.ContainsFunc(views, func(v jobdir.View) bool { return v.Phase != jobdir.New }) {
		st.State = target.Running
	}
	return st
}

// explain says in a word and in a sentence why a rank failed.
func (f Facts) explain(v jobdir.View) (target.State, target.Cause, string) {
	switch {
	case v.Phase == jobdir.Lost:
		return target.Lost, target.CauseLost, v.Reason
	case v.Stopped == string(target.CauseTimeout):
		return target.Failed, target.CauseTimeout, fmt.Sprintf("stopped after its timeout of %v", f.Timeout)
	case v.Stopped == string(Peer):
		return target.Failed, target.CauseExit, "stopped because another rank failed"
	case v.Stopped == string(target.CausePreempted):
		return target.Failed, target.CausePreempted, "it was preempted: asked to end, since its machine is wanted for something else"
	case v.Stopped != "":
		return target.Cancelled, target.Cause(v.Stopped), "it was cancelled"
	case v.Unstarted:
		return target.Failed, target.CauseStart, f.whyUnstarted(v.Status)
	case v.OOM && f.Memory > 0:
		return target.Failed, target.CauseOOM, fmt.Sprintf("out of memory: the limit is %s; ask for more as `memory` of the stage", jobdir.FormatBytes(f.Memory))
	case v.Signal() > 0:
		return target.Failed, target.CauseSignal, fmt.Sprintf("ended by signal %d (%v)", v.Signal(), syscall.Signal(v.Signal()))
	}
	return target.Failed, target.CauseExit, fmt.Sprintf("exit code %d", v.Status)
}

// whyUnstarted puts the two statuses for a command that could not be executed
// into words: 127 when it was not found, 126 when it is no program.
func (f Facts) whyUnstarted(status int) string {
	what := "command"
	if f.Script {
		what = "shell"
	}
	switch {
	case status != 127:
		return fmt.Sprintf("the %s %q cannot be executed: is it a program, and is it marked executable? The log has the system's words", what, f.Program)
	case strings.Contains(f.Program, "/"):
		return fmt.Sprintf("the %s %q was not found, or the interpreter that its first line names", what, f.Program)
	}
	return fmt.Sprintf("the %s %q was not found in PATH (%s): install it, or name the program by its path", what, f.Program, f.Path)
}

// Notes gathers what could not be enforced for a rank, each thing once.
func Notes(views []jobdir.View) []string {
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

// Begin is when the first rank started; zero when none has.
func Begin(views []jobdir.View) (first time.Time) {
	for _, v := range views {
		if !v.Start.IsZero() && (first.IsZero() || v.Start.Before(first)) {
			first = v.Start
		}
	}
	return first
}

// finish is when the last rank ended.
func finish(views []jobdir.View) (last time.Time) {
	for _, v := range views {
		if v.End.After(last) {
			last = v.End
		}
	}
	return last
}
