package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/converter"
)

// Errors of Retry that a caller may want to tell apart.
var (
	ErrStillRunning   = errors.New("the run goes on")
	ErrNothingToRetry = errors.New("there is nothing to do again")
	ErrNoStage        = errors.New("no such stage")
)

// Retrying says how a run is done again.
type Retrying struct {
	Plan  *plan.Plan // the plan to run; nil: that of the run
	Store string     // the artifact store that holds the plan's code, when there is a plan
	From  []string   // stages that are done again with all that need them
	Anew  []string   // stages that use neither their results nor earlier ones; "" stands for all
}

// Retry says what a run would keep that does an ended run again: the good stages that
// are the same in both plans. The request, once it has what it needs of this shell, is
// for Start; nothing is begun here.
func (e *Engine) Retry(ctx context.Context, id string, o Retrying) (Request, []flow.Retained, error) {
	var r Request
	state, err := e.stateOfEnd(ctx, id)
	if err != nil {
		return r, nil, err
	}
	in, err := e.given(ctx, id)
	if err != nil {
		return r, nil, err
	}
	before, err := e.planOf(ctx, id)
	if err != nil {
		return r, nil, err
	}
	r = Request{Plan: o.Plan, Store: o.Store, Dir: in.Dir}
	if r.Plan == nil {
		same := *before
		same.Stages = slices.Clone(before.Stages)
		r.Plan, r.Store = &same, in.Store
	}
	anew := map[string]bool{}
	for _, name := range o.Anew {
		if name == "" {
			o.Anew = names(r.Plan)
			break
		}
	}
	for _, name := range o.Anew {
		anew[name] = true
	}
	for _, name := range slices.Concat(o.From, o.Anew) {
		i := slices.IndexFunc(r.Plan.Stages, func(s plan.Stage) bool { return s.Name == name })
		if i < 0 {
			return r, nil, fmt.Errorf("%w: the pipeline %q has no stage %q", ErrNoStage, r.Plan.Pipeline, name)
		}
		if anew[name] {
			r.Plan.Stages[i].Cache = nil
		}
	}
	store, err := blob.OpenFolder(r.Store)
	if err != nil {
		return r, nil, err
	}
	var told []flow.Retained
	r.Begin, told = flow.Retry(state, before, r.Plan, flow.Retrying{From: flow.Behind(r.Plan, o.From...), Anew: anew, There: store.Has})
	last := func(s flow.Retained) bool {
		return s.Kept || slices.ContainsFunc(r.Plan.Stages, func(p plan.Stage) bool { return p.Name == s.Stage && p.Finally })
	}
	if !slices.ContainsFunc(told, func(s flow.Retained) bool { return !last(s) }) {
		return r, told, fmt.Errorf("%w: every stage of run %s succeeded and is as it was", ErrNothingToRetry, id)
	}
	return r, told, nil
}

func names(p *plan.Plan) (all []string) {
	for _, s := range p.Stages {
		all = append(all, s.Name)
	}
	return all
}

// given is what a run was given when it began.
func (e *Engine) given(ctx context.Context, id string) (in flow.Input, err error) {
	payload, err := e.inputOf(ctx, id)
	if err == nil {
		err = converter.GetDefaultDataConverter().FromPayload(payload, &in)
	}
	return in, err
}

// stateOfEnd is the state in which a run has ended. Of a run that began before there
// were stretches it is its record, which lacks most of very many items.
func (e *Engine) stateOfEnd(ctx context.Context, id string) (*flow.State, error) {
	p, err := e.Progress(ctx, id)
	if err != nil {
		return nil, err
	}
	if !p.Status.Ended() {
		return nil, fmt.Errorf("%w: run %s is %s; `amlflow cancel %s` ends it", ErrStillRunning, id, p.Status, id)
	}
	at, err := e.endOf(ctx, id)
	if err != nil || at.None() {
		return &flow.State{Progress: p}, err
	}
	var blobs target.Blobs
	if at.Ref != "" {
		if blobs, err = blob.OpenFolder(at.Store); err != nil {
			return nil, err
		}
	}
	return stretch.ReadState(ctx, blobs, at)
}
