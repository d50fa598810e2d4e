package stretch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"
)

// memory spares stretches from reading again what this process has read or written
// just now: plans, and the states of runs that are too large to go with their history.
type memory struct {
	mu     sync.Mutex
	plans  map[target.Ref]*plan.Plan // contents by digest never change
	states map[target.Ref]remembered
}

// remembered is a state, and what it took to keep it.
type remembered struct {
	state *flow.State
	run   string
	took  time.Duration
}

// maxPlans is how many plans are remembered.
const maxPlans = 32

func (m *memory) plan(ctx context.Context, blobs target.Blobs, ref target.Ref) (*plan.Plan, error) {
	m.mu.Lock()
	p := m.plans[ref]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := ReadPlan(ctx, blobs, ref)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plans == nil {
		m.plans = map[target.Ref]*plan.Plan{}
	}
	for old := range m.plans {
		if len(m.plans) < maxPlans {
			break
		}
		delete(m.plans, old)
	}
	m.plans[ref] = p
	return p, nil
}

// remember keeps the state of a run for its next stretch, in place of an earlier one.
func (m *memory) remember(ref target.Ref, r remembered) {
	if ref == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states == nil {
		m.states = map[target.Ref]remembered{}
	}
	for old, other := range m.states {
		if other.run == r.run {
			delete(m.states, old)
		}
	}
	if !r.state.Progress.Status.Ended() {
		m.states[ref] = r
	}
}

// state is what a snapshot stands for. What is remembered is given away once: a stretch
// changes it.
func (m *memory) state(ctx context.Context, blobs target.Blobs, s flow.Snapshot) (*flow.State, time.Duration, error) {
	if s.Ref != "" {
		m.mu.Lock()
		r, ok := m.states[s.Ref]
		delete(m.states, s.Ref)
		m.mu.Unlock()
		if ok {
			return r.state, r.took, nil
		}
	}
	began := time.Now()
	state, err := ReadState(ctx, blobs, s)
	if err != nil {
		return nil, 0, fmt.Errorf("go on with the run: %w", err)
	}
	return state, time.Since(began), nil
}

// passed is the state, with its excerpt, that a stretch makes superfluous which begins from
// state: the one before it, since the history of the run has come to this one. Nothing else
// tells that. A stretch that was given up, and is still under way, may begin after the one
// that was done in its place has ended; what it makes superfluous was so already.
func passed(state *flow.State, in flow.StretchInput) (refs []target.Ref) {
	if state == nil || state.Before == "" || state.Before == in.From.Ref || state.Before == in.Input.Begin.Ref {
		return nil // what a run was given to begin with may be what another was given, too
	}
	refs = append(refs, state.Before)
	if x := state.ExcerptBefore; x != "" && x != in.From.Excerpt {
		refs = append(refs, x)
	}
	return refs
}
