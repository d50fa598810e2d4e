package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/client"
)

// KeyedID is keyedID, for the tests.
func KeyedID(queue, key string, try int) string { return keyedID(queue, key, try) }

// Occupy begins a run without a key under an id of the test's choice.
func Occupy(ctx context.Context, e *Engine, id string, p *plan.Plan, store string) error {
	return e.do(ctx, func(ctx context.Context, c client.Client) error {
		r := Request{Plan: p, Store: store}
		in, err := e.input(ctx, r)
		if err != nil {
			return err
		}
		return e.start(ctx, c, id, r, in)
	})
}

// ExcerptIn and RecordIn are for tests that have a workflow's end from elsewhere.
func ExcerptIn(ctx context.Context, end json.RawMessage) (flow.Excerpt, error) {
	return recordIn(ctx, flow.Workflow, end, nil, true)
}

// RecordIn is ExcerptIn for all of the record.
func RecordIn(ctx context.Context, workflow string, end json.RawMessage, err error) (*flow.Progress, error) {
	x, err := recordIn(ctx, workflow, end, err, false)
	return x.Progress, err
}

// Timed is Activities by another clock.
func Timed(drivers map[string]target.Driver, home string, c stretch.Clock) func(Registry) {
	return activitiesAt(drivers, home, c)
}

// Doubt tells what a sweep says whose list of runs is empty, of what targets keep.
func Doubt(ctx context.Context, e *Engine, kept []target.Kept) (string, error) {
	r := &roster{at: time.Now()}
	err := r.doubt(ctx, e, kept)
	return r.blind, err
}

// Absent has schedules fire while the server of the seat is away, and returns once they
// have.
func (e *Engine) Absent(ctx context.Context, seat server.Seat, names ...string) error {
	info := e.Info()
	if err := server.Stop(ctx, seat); err != nil {
		return err
	}
	c, err := cluster.Dial(ctx, info.Address, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, name := range names {
		h := c.ScheduleClient().GetHandle(ctx, server.SchedulePrefix(info.Queue)+name)
		if err := h.Unpause(ctx, client.ScheduleUnpauseOptions{}); err != nil {
			return err
		}
		for {
			d, err := h.Describe(ctx)
			if err != nil {
				return err
			}
			if len(d.Info.RecentActions) > 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}
