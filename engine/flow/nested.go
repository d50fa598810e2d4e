package flow

import (
	"errors"
	"fmt"
	"maps"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
)

// nested runs the pipeline of a stage inside of this run.
func (r *run) nested(w World, u *unit, got Evaluated) workers.Outcome {
	in := Input{Run: u.p.Job, Plan: *u.s.Nested.Plan, Store: r.in.Store, Dir: r.in.Dir, Host: r.in.Host, Control: r.in.Control, Root: r.root(), Within: r.path(u.s.Name) + "/"}
	in.Plan.Params = with(in.Plan.Params, got.Params)
	p, err := w.Pipeline(in, Unit{Name: u.jobSuffix(), Progress: u.p})
	switch {
	case err == nil:
		u.p.Nested = p
		return ended(p)
	case w.Err() != nil || temporal.IsCanceledError(err):
		return workers.Outcome{Status: target.Status{State: target.Cancelled, Cause: target.CauseCancel}}
	}
	return unstarted("the pipeline could not be run: " + message(err))
}

func (u *unit) jobSuffix() string { return u.job("", u.p.Attempts)[1:] }

// root is the id of the run that this one is part of, or its own.
func (r *run) root() string {
	if r.in.Root != "" {
		return r.in.Root
	}
	return r.in.Run
}

// ended is what becomes of a stage when the pipeline that it runs has ended.
func ended(p *Progress) workers.Outcome {
	out := workers.Outcome{Status: target.Status{State: p.Status}, Values: p.Outputs}
	switch p.Status {
	case target.Failed:
		out.Cause, out.Reason = CausePipeline, fmt.Sprintf("the pipeline %q failed", p.Pipeline)
		for i := range p.Stages {
			if s := &p.Stages[i]; bad(s.Status) {
				out.Reason, out.Tail = fmt.Sprintf("its stage %q %s: %s", s.Name, s.Status, s.Error), s.Tail
				break
			}
		}
		if p.Error != "" {
			out.Reason = p.Error
		}
	case target.Cancelled:
		out.Cause = target.CauseCancel
	}
	return out
}

// CausePipeline is the cause of a stage whose pipeline failed.
const CausePipeline target.Cause = "pipeline"

// with are params and, over them, more.
func with(params, more map[string]any) map[string]any {
	all := make(map[string]any, len(params)+len(more))
	maps.Copy(all, params)
	maps.Copy(all, more)
	return all
}

// alreadyThere reports that a child could not be started because one of its name runs.
func alreadyThere(err error) bool {
	var taken *temporal.ChildWorkflowExecutionAlreadyStartedError
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	return errors.As(err, &taken) || errors.As(err, &started)
}
