package rehearsal

import (
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/workflow"
)

// SetQueryHandler gets at the progress of a run while it is under way.
func (e *exit) SetQueryHandler(ctx workflow.Context, name string, handler any) error {
	if f, ok := handler.(func() (*flow.Progress, error)); ok && name == flow.QueryProgress {
		p, err := f()
		if err != nil {
			return err
		}
		if e.progress = p; e.run == runID {
			e.play.root = p
		}
	}
	return e.Next.SetQueryHandler(ctx, name, handler)
}

// SetUpdateHandler gets at the way in which people decide.
func (e *exit) SetUpdateHandler(ctx workflow.Context, name string, handler any, o workflow.UpdateHandlerOptions) error {
	if name == flow.UpdateDecide {
		e.decide, _ = handler.(func(workflow.Context, flow.Decision) error)
		e.may, _ = o.Validator.(func(workflow.Context, flow.Decision) error)
	}
	return e.Next.SetUpdateHandler(ctx, name, handler, o)
}

// Await is where a stage begins to wait for a person.
func (e *exit) Await(ctx workflow.Context, condition func() bool) error {
	e.ask(ctx)
	return e.Next.Await(ctx, condition)
}

// AwaitWithTimeout is the same for one that does not wait for ever.
func (e *exit) AwaitWithTimeout(ctx workflow.Context, limit time.Duration, condition func() bool) (bool, error) {
	e.ask(ctx)
	return e.Next.AwaitWithTimeout(ctx, limit, condition)
}

// ask has the people of the test decide about stages that have begun to wait.
func (e *exit) ask(ctx workflow.Context) {
	if e.progress == nil {
		return
	}
	for i := range e.progress.Stages {
		s := &e.progress.Stages[i]
		if s.Approval == nil || s.Status != target.Running || e.gates[s.Name] {
			continue
		}
		e.gates[s.Name] = true
		e.answer(ctx, s.Name)
	}
}

func (e *exit) answer(ctx workflow.Context, stage string) {
	name := numbers.ReplaceAllString(e.play.inside[e.run], "") + stage
	m := e.play.mocks[name]
	if m == nil || m.Decision == nil {
		e.play.judge.stages("not-mocked", "add `%s: { approve: NAME }`, or `reject: NAME`, or `nobody: true`", name, "stage %q waits for a person, and the test says nothing of one", name)
		return
	}
	d := m.Decision
	if d.Nobody || e.may == nil || e.decide == nil {
		return
	}
	says := flow.Decision{Stage: stage, Approve: d.Approve != "", By: d.Approve + d.Reject, Comment: d.Comment, Plan: e.digest}
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, d.After) != nil {
			return
		}
		if e.may(ctx, says) == nil { // one who comes too late is no mistake
			_ = e.decide(ctx, says) // it only takes note
		}
	})
}
