package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/target"

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
	go keep(ctx, o)
	activities := Activities(o.Drivers, o.Seat.Home)
	return server.Serve(ctx, server.Options{
		Seat: o.Seat, Build: o.Build, Idle: o.Idle, Log: o.Log,
		Workflows:  func(r worker.Registry) { RegisterWorkflows(r) },
		Activities: func(r worker.Registry) { activities(r) },
		Stays:      o.restless,
	})
}

// keepEvery is how often drivers look after their own processes.
const keepEvery = 5 * time.Second

func keep(ctx context.Context, o ServeOptions) {
	for {
		for kind, d := range o.Drivers {
			if k, ok := d.(target.Keeper); ok {
				if err := k.Keep(ctx); err != nil && ctx.Err() == nil {
					o.Log.Warn("a driver could not bring its processes back", "kind", kind, "error", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepEvery):
		}
	}
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
