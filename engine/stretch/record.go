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

// maxInline is the size of a state that goes with its record; a larger one is kept in
// the store.
const maxInline = 48 << 10

// KeepState puts a state where its snapshot says: with it, or in the store.
func KeepState(ctx context.Context, blobs target.Blobs, store string, s *flow.State) (flow.Snapshot, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return flow.Snapshot{}, fmt.Errorf("write down how the run stands: %w", err)
	}
	return keep(ctx, blobs, store, text)
}

// keep puts the text of a state where its snapshot says.
func keep(ctx context.Context, blobs target.Blobs, store string, text []byte) (flow.Snapshot, error) {
	if len(text) <= maxInline {
		return flow.Snapshot{State: text}, nil
	}
	ref, err := blobs.Put(ctx, bytes.NewReader(text))
	if err != nil {
		return flow.Snapshot{}, fmt.Errorf("keep how the run stands: %w", err)
	}
	return flow.Snapshot{Ref: ref, Store: store}, nil
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
