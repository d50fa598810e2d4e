package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// ServeOptions say how to be the background process.
type ServeOptions struct {
	Seat    server.Seat
	Build   string                   // of this program
	Idle    time.Duration            // how long to stay when there is nothing to do
	Drivers map[string]target.Driver // by kind
	Log     *slog.Logger
}

// Serve is the background process of a seat; see server.Serve.
func Serve(ctx context.Context, o ServeOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var temporal atomic.Pointer[client.Client]
	go keep(ctx, o, &temporal)
	activities := Activities(o.Drivers, o.Seat.Home)
	return server.Serve(ctx, server.Options{
		Seat: o.Seat, Build: o.Build, Idle: o.Idle, Log: o.Log,
		Workflows:  func(r worker.Registry) { RegisterWorkflows(r) },
		Activities: func(r worker.Registry) { activities(r) },
		Ready:      func(c client.Client) { temporal.Store(&c) },
		Stays:      o.restless,
	})
}

// keepEvery is how often drivers look after their own processes.
const keepEvery = 5 * time.Second

// noticeEvery is how often one asks a driver to notice the end of something, when nothing
// is there.
const noticeEvery = time.Second

// notice sends something when a process that a driver keeps has ended.
func notice(ctx context.Context, s target.Sentinel, fallen chan<- struct{}) {
	for ctx.Err() == nil {
		if s.Fallen(ctx) {
			select {
			case fallen <- struct{}{}:
			default:
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(noticeEvery):
		}
	}
}

func keep(ctx context.Context, o ServeOptions, temporal *atomic.Pointer[client.Client]) {
	fallen := make(chan struct{}, 1)
	for _, d := range o.Drivers {
		if s, ok := d.(target.Sentinel); ok {
			go notice(ctx, s, fallen)
		}
	}
	for {
		for kind, d := range o.Drivers {
			if k, ok := d.(target.Keeper); ok {
				if err := k.Keep(ctx); err != nil && ctx.Err() == nil {
					o.Log.Warn("a driver could not bring its processes back", "kind", kind, "error", err)
				}
			}
			if a, ok := d.(target.Attendant); ok && temporal.Load() != nil {
				if err := leave(ctx, *temporal.Load(), a); err != nil && ctx.Err() == nil {
					o.Log.Warn("a driver could not remove what it keeps for runs that have ended", "kind", kind, "error", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepEvery):
		case <-fallen:
		}
	}
}

// leave tells a driver which of the runs have ended that it keeps something for.
func leave(ctx context.Context, c client.Client, a target.Attendant) error {
	runs, err := a.Attends(ctx)
	errs := []error{err}
	for _, run := range runs {
		d, err := c.DescribeWorkflowExecution(ctx, idPrefix+run, "")
		var unknown *serviceerror.NotFound
		switch {
		case errors.As(err, &unknown):
			errs = append(errs, a.Leave(ctx, run, false))
		case err != nil:
			errs = append(errs, err)
		case d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
			errs = append(errs, a.Leave(ctx, run, true))
		}
	}
	return errors.Join(errs...)
}

// restless reports whether a driver must go on keeping what it has. One that cannot tell may.
func (o ServeOptions) restless(ctx context.Context) bool {
	for _, d := range o.Drivers {
		if r, ok := d.(target.Restless); ok {
			if rests, err := r.Rests(ctx); err != nil || !rests {
				return true
			}
		}
	}
	return false
}
