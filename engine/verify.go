package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"
)

// Verifying says how a stage is run on several targets.
type Verifying struct {
	Stage string
	Plans []*plan.Plan // the whole pipeline's, one for each target, in which the stage runs there
	Store string       // the artifact store that holds the code of the plans
	Begin func(context.Context, Request) (string, error)
	// Notice tells people what is done meanwhile.
	Notice func(string)
}

// ErrNotVerified says that there is nothing of a stage that could be compared.
var ErrNotVerified = errors.New("it cannot be run on several targets")

// recent is how many of the newest runs are looked at for results that can be used.
const recent = 100

// Verify runs a stage once on each of several targets, from the same results of the
// stages before it: those of an earlier run that are as they would be now, or they are
// run once. It returns the runs in the order of the targets, each ended, and starts
// nothing else of the pipeline. When it cannot go on, also because ctx ends, the runs
// that it has started are cancelled.
func (e *Engine) Verify(ctx context.Context, o Verifying) (ended []*flow.Progress, err error) {
	if err := Verifiable(o.Plans[0], o.Stage); err != nil {
		return nil, err
	}
	var ids []string
	defer func() {
		if err == nil {
			return
		}
		for _, id := range ids {
			_ = e.Cancel(context.WithoutCancel(ctx), id) // status says what is left; the first error is the one that counts
		}
	}()
	begin := o.Begin
	o.Begin = func(ctx context.Context, r Request) (string, error) {
		id, err := begin(ctx, r)
		if err == nil {
			ids = append(ids, id)
		}
		return id, err
	}
	base, err := e.upstream(ctx, o)
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, p := range o.Plans {
		r := Request{Plan: p.Upto(o.Stage), Store: o.Store}
		r.Plan.Stage(o.Stage).Models, r.Plan.Stage(o.Stage).NoModels = nil, true // what is made to be compared is no new version of anything
		if base == "" {
			r.Plan.Stage(o.Stage).Cache = nil
		} else if r, _, err = e.Retry(ctx, base, Retrying{Plan: r.Plan, Store: o.Store, Anew: []string{o.Stage}}); err != nil {
			return nil, err
		}
		id, err := o.Begin(ctx, r)
		if err != nil {
			return nil, err
		}
		runs = append(runs, id)
	}
	for _, id := range runs {
		r, err := e.Watch(ctx, id, func(*flow.Progress) {})
		if err != nil {
			return nil, err
		}
		ended = append(ended, r)
	}
	return ended, nil
}

// Verifiable refuses a stage whose results cannot be compared, or that comes after
// something which must not be done for a comparison.
func Verifiable(p *plan.Plan, stage string) error {
	s := p.Stage(stage)
	switch {
	case s == nil:
		return fmt.Errorf("%w: the pipeline %q has no stage %q", ErrNoStage, p.Pipeline, stage)
	case s.Script == "" && len(s.Command) == 0 && s.Batch == nil:
		return fmt.Errorf("stage %q runs nothing itself, so %w", stage, ErrNotVerified)
	}
	for _, b := range p.Upto(stage).Stages {
		if b.Approve != nil || b.Deploy != nil {
			return fmt.Errorf("stage %q comes after %q, which waits for a person or deploys a model, so %w", stage, b.Name, ErrNotVerified)
		}
	}
	return nil
}

// upstream finds a run that has all results which the stage needs, and makes one where
// there is none; empty when it needs none.
func (e *Engine) upstream(ctx context.Context, o Verifying) (string, error) {
	before := o.Plans[0].Before(o.Stage)
	if before == nil {
		return "", nil
	}
	runs, err := e.List(ctx, recent)
	if err != nil {
		return "", err
	}
	r := Request{Plan: before, Store: o.Store}
	partly := false
	for _, one := range runs {
		if one.Pipeline != before.Pipeline || one.Status != target.Succeeded {
			continue
		}
		again, _, err := e.Retry(ctx, one.Run, Retrying{Plan: before, Store: o.Store})
		if errors.Is(err, ErrNothingToRetry) {
			o.Notice(fmt.Sprintf("the results before %q are those of run %s", o.Stage, one.Run))
			return one.Run, nil
		}
		if err == nil && !partly {
			r, partly = again, true // the newest that has some of them
		}
	}
	id, err := o.Begin(ctx, r)
	if err != nil {
		return "", err
	}
	o.Notice(fmt.Sprintf("run %s makes the results before %q", id, o.Stage))
	done, err := e.Watch(ctx, id, func(*flow.Progress) {})
	if err != nil {
		return "", err
	}
	if done.Status != target.Succeeded {
		return "", fmt.Errorf("run %s, which was to make the results before %q, was %s: `amlflow status %s` says why", id, o.Stage, done.Status, id)
	}
	return id, nil
}
