package stretch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"
)

// The sizes of a state from which on it is kept in the store instead of with its record,
// and from which on there is an excerpt of it.
const (
	maxInline   = 48 << 10
	excerptFrom = 1 << 20
)

// KeepState puts a state where its snapshot says: with it, or in the store.
func KeepState(ctx context.Context, blobs target.Blobs, store string, s *flow.State) (flow.Snapshot, error) {
	w, err := write(s)
	if err != nil {
		return flow.Snapshot{}, err
	}
	return w.keep(ctx, blobs, store)
}

// written is the text of a state, and of its excerpt if it is very large.
type written struct{ state, excerpt []byte }

func write(s *flow.State) (w written, err error) {
	if w.state, err = json.Marshal(s); err == nil && len(w.state) > excerptFrom {
		w.excerpt, err = json.Marshal(flow.NewExcerpt(s.Progress, flow.ExcerptStages))
	}
	if err != nil {
		return w, fmt.Errorf("write down how the run stands: %w", err)
	}
	return w, nil
}

// keep puts the texts where the snapshot says.
func (w written) keep(ctx context.Context, blobs target.Blobs, store string) (s flow.Snapshot, err error) {
	if len(w.state) <= maxInline {
		return flow.Snapshot{State: w.state}, nil
	}
	s.Store = store
	if w.excerpt != nil {
		s.Excerpt, err = blobs.Put(ctx, bytes.NewReader(w.excerpt))
	}
	if err == nil {
		s.Ref, err = blobs.Put(ctx, bytes.NewReader(w.state))
	}
	if err != nil {
		return flow.Snapshot{}, fmt.Errorf("keep how the run stands: %w", err)
	}
	return s, nil
}

// ReadExcerpt reads what people look for in a very large state. It has no progress when
// no excerpt was made, or it is there no more.
func ReadExcerpt(ctx context.Context, blobs target.Blobs, s flow.Snapshot) (x flow.Excerpt) {
	if s.Excerpt == "" {
		return x
	}
	text, err := Read(ctx, blobs, s.Excerpt)
	if err != nil || json.Unmarshal(text, &x) != nil {
		return flow.Excerpt{}
	}
	return x
}

// forget removes a state that nobody will go on from: the states of a run of a hundred
// thousand stages would take gigabytes. One that stays is removed by a sweep.
func forget(blobs target.Blobs, ref target.Ref) {
	if b, ok := blobs.(interface{ Forget(ref target.Ref) error }); ok {
		_ = b.Forget(ref)
	}
}

// ReadState reads what a snapshot stands for; nil when nothing has happened yet.
func ReadState(ctx context.Context, blobs target.Blobs, s flow.Snapshot) (*flow.State, error) {
	if s.None() {
		return nil, nil
	}
	text := []byte(s.State)
	if s.Ref != "" {
		var err error
		if text, err = Read(ctx, blobs, s.Ref); err != nil {
			return nil, fmt.Errorf("read how the run stands: %w", err)
		}
	}
	var state flow.State
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, fmt.Errorf("read how the run stands: %w", err)
	}
	return &state, nil
}

// KeepPlan puts a plan into a store, and ReadPlan gets it from there.
func KeepPlan(ctx context.Context, blobs target.Blobs, p *plan.Plan) (target.Ref, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("write the plan: %w", err)
	}
	ref, err := blobs.Put(ctx, bytes.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("keep the plan: %w", err)
	}
	return ref, nil
}

// ReadPlan reads a plan that KeepPlan has kept.
func ReadPlan(ctx context.Context, blobs target.Blobs, ref target.Ref) (*plan.Plan, error) {
	text, err := Read(ctx, blobs, ref)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return &p, nil
}

// Read is the text that is kept under ref: of a state, or of a plan.
func Read(ctx context.Context, blobs target.Blobs, ref target.Ref) ([]byte, error) {
	r, err := blobs.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
