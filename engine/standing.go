package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// standing is a run as it stands on record, or an excerpt of it. The record of a large run
// is in the store, and removed there soon after there is another one: then that is read.
func (e *Engine) standing(ctx context.Context, c client.Client, workflow string, brief bool) (flow.Excerpt, error) {
	var last target.Ref
	for {
		x, at, err := e.standsAt(ctx, c, workflow, brief)
		if err == nil || at == "" || at == last {
			return x, err
		}
		last = at
	}
}

// standsAt is how a run stands, and which record says so, when that is in the store.
// What is read there is remembered, for whoever looks again before there is another.
func (e *Engine) standsAt(ctx context.Context, c client.Client, workflow string, brief bool) (x flow.Excerpt, at target.Ref, err error) {
	v, err := ask(ctx, c, workflow, flow.QueryProgress)
	if err != nil {
		return x, "", err
	}
	var s flow.Standing
	if err := v.Get(&s); err != nil {
		return x, "", err
	}
	e.mu.Lock()
	p := e.seen[s.At.Ref]
	e.mu.Unlock()
	if p != nil {
		return flow.Excerpt{Progress: p}, s.At.Ref, nil
	}
	x, err = excerptAt(ctx, s.At, brief)
	if p = x.Progress; p != nil && s.At.Ref != "" && x.Others == nil {
		e.mu.Lock()
		e.seen = map[target.Ref]*flow.Progress{s.At.Ref: p}
		e.mu.Unlock()
	}
	if p != nil && p.Run == "" { // it has not begun to do more than an earlier run
		p.Run, p.Store, p.Started = s.Input.Run, s.Input.Store, time.Now()
	}
	if p == nil && err == nil {
		x.Progress, err = atFirst(ctx, s.Input)
	}
	return x, s.At.Ref, err
}

// atFirst is a run of which nothing is on record yet.
func atFirst(ctx context.Context, in flow.Input) (*flow.Progress, error) {
	if in.PlanRef == "" {
		return flow.NewProgress(in, time.Now()), nil
	}
	blobs, err := blob.OpenFolder(in.Store)
	if err != nil {
		return nil, err
	}
	p, err := stretch.ReadPlan(ctx, blobs, in.PlanRef)
	if err != nil {
		return nil, err
	}
	in.Plan = *p
	return flow.NewProgress(in, time.Now()), nil
}

// excerptAt is what a snapshot says of a run; without progress when nothing has happened
// yet. It is all of it unless brief is wished for, and an excerpt is there.
func excerptAt(ctx context.Context, s flow.Snapshot, brief bool) (x flow.Excerpt, err error) {
	var blobs target.Blobs
	if s.Ref != "" {
		if blobs, err = blob.OpenFolder(s.Store); err != nil {
			return x, err
		}
	}
	if brief {
		if x = stretch.ReadExcerpt(ctx, blobs, s); x.Progress != nil {
			return x, nil
		}
	}
	state, err := stretch.ReadState(ctx, blobs, s)
	if state == nil || err != nil {
		return x, err
	}
	return flow.Excerpt{Progress: state.Progress}, nil
}

// hear adds to a run what is under way and not on record yet.
func hear(x flow.Excerpt, pending []*workflow.PendingActivityInfo) {
	for _, a := range pending {
		if a.GetActivityType().GetName() != flow.Stretch {
			continue
		}
		var h flow.Heard
		if a.GetHeartbeatDetails() != nil && converter.GetDefaultDataConverter().FromPayloads(a.GetHeartbeatDetails(), &h) == nil {
			for _, path := range slices.Sorted(maps.Keys(h.Stages)) {
				x.Hear(path, h.Stages[path])
			}
		}
		if f := a.GetLastFailure(); f.GetMessage() != "" && f.GetTimeoutFailureInfo() == nil {
			x.Progress.Why = fmt.Sprintf("trying again (%d times so far): %s", a.GetAttempt()-1, f.GetMessage())
		}
	}
}

// recordIn reads the record of a run that has ended, or an excerpt of it, from what its
// workflow left: a result, or an error. It has no progress when that holds none.
func recordIn(ctx context.Context, workflow string, end json.RawMessage, err error, brief bool) (x flow.Excerpt, _ error) {
	if workflow == flow.FirstWorkflow {
		if p, ok := flow.RecordOf(err); ok || err != nil {
			return flow.Excerpt{Progress: p}, nil
		}
		return x, json.Unmarshal(end, &x.Progress)
	}
	at, ok := flow.EndOf(err)
	switch {
	case err == nil:
		if err := json.Unmarshal(end, &at); err != nil {
			return x, err
		}
	case !ok:
		return x, nil
	}
	return excerptAt(ctx, at, brief)
}

// endOf is the snapshot that a run has ended with; none for runs of before.
func (e *Engine) endOf(ctx context.Context, id string) (at flow.Snapshot, err error) {
	err = e.do(ctx, func(ctx context.Context, c client.Client) error {
		var end json.RawMessage
		if err := c.GetWorkflow(ctx, idPrefix+id, "").Get(ctx, &end); err != nil {
			at, _ = flow.EndOf(err)
			return nil //nolint:nilerr // that it failed is how it ended
		}
		_ = json.Unmarshal(end, &at) // else it is the record of a run of before
		return nil
	})
	return at, err
}

// readAll is the text of a state that is kept in a store.
func readAll(ctx context.Context, at flow.Snapshot) ([]byte, error) {
	blobs, err := blob.OpenFolder(at.Store)
	if err != nil {
		return nil, err
	}
	return stretch.Read(ctx, blobs, at.Ref)
}
