package remote

import (
	"context"
	"sync"
)

// Turns lets those who do the same thing in this program go one after the other: who
// submit one job, say, of whom all but the first find it submitted.
type Turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

type turn struct {
	gate  chan struct{} // holds one: whoever takes it has the turn
	users int
}

// NewTurns returns turns that nobody has taken.
func NewTurns() *Turns { return &Turns{taken: map[string]*turn{}} }

// Take waits for the turn of a key. The function that it returns gives it back.
func (ts *Turns) Take(ctx context.Context, key string) (func(), error) {
	ts.mu.Lock()
	t := ts.taken[key]
	if t == nil {
		t = &turn{gate: make(chan struct{}, 1)}
		t.gate <- struct{}{}
		ts.taken[key] = t
	}
	t.users++
	ts.mu.Unlock()
	drop := func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(ts.taken, key)
		}
	}
	select {
	case <-t.gate:
		return func() { t.gate <- struct{}{}; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, context.Cause(ctx)
	}
}
