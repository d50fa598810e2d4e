package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Errors of Decide that a caller may want to tell apart.
var (
	ErrMayNot     = errors.New("not allowed")
	ErrNotWaiting = errors.New("nobody is asked")
	ErrConflict   = errors.New("conflict")
)

// Question is a stage that waits for a person.
type Question struct {
	Stage    string // with the stages around it: "nested/gate"
	Approval flow.Approval
	workflow string // that the stage is of
	plan     string // the digest of its plan
	name     string // in that plan
}

// Questions are the stages of a run that wait for a person now.
func Questions(p *flow.Progress) []Question { return questions(p, idPrefix+p.Run, "") }

func questions(p *flow.Progress, workflow, prefix string) (out []Question) {
	for i := range p.Stages {
		s := &p.Stages[i]
		if s.Approval != nil && s.Status == target.Running {
			out = append(out, Question{Stage: prefix + s.Name, Approval: *s.Approval, workflow: workflow, plan: p.Plan, name: s.Name})
		}
		for _, inner := range append([]flow.StageProgress{*s}, s.Items...) {
			if inner.Child != "" && inner.Nested != nil {
				out = append(out, questions(inner.Nested, inner.Child, prefix+inner.Name+"/")...)
			}
		}
	}
	return out
}

// Decide answers the question of a stage of a run, which may be left out when there
// is only one. It returns the stage that was answered. Answering the same again
// changes nothing.
func (e *Engine) Decide(ctx context.Context, run, stage string, d flow.Decision) (string, error) {
	p, err := e.Progress(ctx, run)
	if err != nil {
		return "", err
	}
	q, err := e.question(p, stage)
	if err != nil {
		return "", err
	}
	d.Stage, d.Plan = q.name, q.plan
	return q.Stage, e.do(ctx, func(ctx context.Context, c client.Client) error {
		h, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: q.workflow, UpdateName: flow.UpdateDecide, WaitForStage: client.WorkflowUpdateStageCompleted, Args: []any{d},
		})
		if err == nil {
			err = h.Get(ctx, nil)
		}
		return decided(err)
	})
}

// question finds what is meant, also a stage that was answered already: the run
// itself says what it makes of that.
func (e *Engine) question(p *flow.Progress, stage string) (Question, error) {
	open := Questions(p)
	if stage == "" && len(open) == 1 {
		return open[0], nil
	}
	var names []string
	for _, q := range open {
		if q.Stage == stage {
			return q, nil
		}
		names = append(names, q.Stage)
	}
	switch {
	case stage == "" && len(open) == 0:
		return Question{}, fmt.Errorf("%w: run %s has no stage that waits for a person", ErrNotWaiting, p.Run)
	case stage == "":
		return Question{}, fmt.Errorf("%w: several stages of run %s wait: name one of %s", ErrConflict, p.Run, strings.Join(names, ", "))
	case p.Stage(stage) == nil:
		return Question{}, fmt.Errorf("%w: run %s has no stage %q that waits for a person", ErrNotWaiting, p.Run, stage)
	case p.Status.Ended():
		s := p.Stage(stage)
		return Question{}, fmt.Errorf("%w: run %s has ended, and its stage %q is %s", ErrNotWaiting, p.Run, stage, s.Status)
	}
	return Question{Stage: stage, workflow: idPrefix + p.Run, plan: p.Plan, name: stage}, nil
}

// decided puts the run's answer into an error of ours.
func decided(err error) error {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) {
		return err
	}
	for kind, known := range map[string]error{flow.NotAllowed: ErrMayNot, flow.NotWaiting: ErrNotWaiting, flow.Conflict: ErrConflict} {
		if app.Type() == kind {
			return fmt.Errorf("%w: %s", known, app.Message())
		}
	}
	return err
}
