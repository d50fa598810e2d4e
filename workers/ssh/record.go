package ssh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// record is what the hosts of a job keep for calls that know its id alone. It holds
// nothing of what the job is given.
type record struct {
	Nodes   int               `json:"nodes"`
	Master  string            `json:"master"` // MASTER_ADDR and MASTER_PORT of all ranks
	Port    int               `json:"port"`
	Timeout time.Duration     `json:"timeout,omitempty"`
	Program string            `json:"program"` // see ranks.Facts
	Script  bool              `json:"script"`
	Path    string            `json:"path"`
	Outputs []target.Artifact `json:"outputs,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
}

func (r record) facts() ranks.Facts {
	return ranks.Facts{Nodes: r.Nodes, Timeout: r.Timeout, Program: r.Program, Script: r.Script, Path: r.Path}
}

// records remembers the records of jobs, which never change once they can be read.
type records struct {
	mu    sync.Mutex
	known map[string]record // by the name of the first host, and the id
}

// mostRecords bounds what is remembered: then all is read again.
const mostRecords = 10_000

func newRecords() *records { return &records{known: map[string]record{}} }

// of returns the record of a job, from the host of rank 0, and reports whether there is
// one.
func (rs *records) of(ctx context.Context, h host, id string) (record, bool, error) {
	key := fmt.Sprintf("%p %s", h.Machine, id)
	rs.mu.Lock()
	r, ok := rs.known[key]
	rs.mu.Unlock()
	if ok {
		return r, true, nil
	}
	ok, err := h.Record(ctx, remote.Unit(id, 0), &r)
	if err != nil {
		return r, false, h.blame(fmt.Errorf("read the record of job %q: %w", id, err))
	}
	if ok {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if len(rs.known) >= mostRecords {
			clear(rs.known)
		}
		rs.known[key] = r
	}
	return r, ok, nil
}

// turns lets those who submit the same job in this program go one after the other: all
// but the first find it submitted.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

type turn struct {
	gate  chan struct{} // holds one: whoever takes it has the turn
	users int
}

func newTurns() *turns { return &turns{taken: map[string]*turn{}} }

// take waits for the turn of a key. The function that it returns gives it back.
func (ts *turns) take(ctx context.Context, key string) (func(), error) {
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
