// Package engine turns a pipeline into a run and looks after it: it is the one
// door through which the command line reaches Temporal, the workers and the
// artifact store.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// Options say which engine to use and how to start it.
type Options struct {
	Home     string                   // the state folder
	External *cluster.Address         // nil: the embedded engine
	Build    string                   // of this program
	Drivers  map[string]target.Driver // by kind
	Start    func(server.Seat) error  // starts the background process of a seat
	Notice   func(string)             // tells the person what takes long; may be nil
	Log      *slog.Logger
}

func (o Options) seat() server.Seat { return server.Seat{Home: o.Home, External: o.External} }

// StoreDir is where artifacts are kept when the workspace does not say.
func (o Options) StoreDir() string { return filepath.Join(o.Home, "store") }

// Engine is a connection to the background server and its Temporal. It mends
// itself: when the server was killed, the next call starts it again.
type Engine struct {
	o     Options
	masks sync.Map // of jobs with secrets: *mask.Masker by the job's id

	mu      sync.Mutex
	info    server.Info
	client  client.Client
	seen    map[target.Ref]*flow.Progress // the last state that was read from a store
	alive   context.Context               // ends when the server has gone
	release func()
}

// Open connects to the engine, and starts it when it does not answer.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{o: o}
	_, _, err := e.connected(ctx)
	return e, err
}

// Close lets go of the server, which may stop once nothing is left to do.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop()
}

func (e *Engine) drop() {
	if e.client != nil {
		e.client.Close()
		e.release()
		e.client = nil
	}
}

// connected returns a client that works as far as is known, and a context that
// ends when the server behind it has gone.
func (e *Engine) connected(ctx context.Context) (client.Client, context.Context, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil && e.alive.Err() == nil {
		return e.client, e.alive, nil
	}
	if e.client != nil {
		e.notice("waiting for the engine…")
		e.drop()
	}
	slow := time.AfterFunc(3*time.Second, func() { e.notice("waiting for the engine to start…") })
	defer slow.Stop()
	for try := 1; ; try++ {
		info, err := server.Ensure(ctx, e.o.seat(), e.o.Build, func() error { return e.o.Start(e.o.seat()) })
		if err != nil {
			return nil, nil, err
		}
		err = e.connect(ctx, info)
		if err == nil {
			return e.client, e.alive, nil
		}
		if now, ok := server.Find(ctx, e.o.seat()); ctx.Err() != nil || try == serverTries || ok && now.PID == info.PID {
			return nil, nil, err // not because the server went away meanwhile
		}
	}
}

// connect takes hold of a server that answered just now.
func (e *Engine) connect(ctx context.Context, info server.Info) error {
	alive, release, err := server.Hold(info)
	if err != nil {
		return fmt.Errorf("take hold of the background server: %w", err)
	}
	c, err := cluster.Dial(ctx, info.Address, e.o.Log)
	if err != nil {
		release()
		return err
	}
	e.info, e.client, e.alive, e.release = info, c, alive, release
	return nil
}

// do calls f with a client, and again with a new one when the server went away
// under it. The context of f ends as soon as that is known: Temporal's client
// would go on trying the old address for ten seconds.
func (e *Engine) do(ctx context.Context, f func(context.Context, client.Client) error) error {
	for try := 1; ; try++ {
		c, alive, err := e.connected(ctx)
		if err != nil {
			return err
		}
		during, cancel := context.WithCancel(ctx)
		unwatch := context.AfterFunc(alive, cancel)
		err = f(during, c)
		unwatch()
		cancel()
		switch {
		case err == nil || ctx.Err() != nil || alive.Err() == nil && !gone(err):
			return err
		case try == serverTries:
			return fmt.Errorf("%w: it did not answer: %w", cluster.ErrUnreachable, err)
		case alive.Err() == nil: // an external engine is away
			e.notice("waiting for the engine to answer…")
		}
	}
}

// serverTries is how many servers may die under one call.
const serverTries = 5

func (e *Engine) notice(s string) {
	if e.o.Notice != nil {
		e.o.Notice(s)
	}
}

// Info is what is known about the server behind this connection.
func (e *Engine) Info() server.Info {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info
}

// Registry is where workflows and activities are made known: a Temporal worker,
// or the environment of a test.
type Registry interface {
	RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions)
	RegisterActivityWithOptions(a any, o activity.RegisterOptions)
}

// RegisterWorkflows makes our workflows known to r, and the local activity that
// comes with them.
func RegisterWorkflows(r Registry) {
	r.RegisterWorkflowWithOptions(flow.Carry, workflow.RegisterOptions{Name: flow.Workflow})
	r.RegisterWorkflowWithOptions(flow.Run, workflow.RegisterOptions{Name: flow.FirstWorkflow})
	r.RegisterWorkflowWithOptions(flow.Run, workflow.RegisterOptions{Name: flow.NestedWorkflow})
	r.RegisterWorkflowWithOptions(flow.Items, workflow.RegisterOptions{Name: flow.ItemsWorkflow})
	r.RegisterWorkflowWithOptions(flow.Group, workflow.RegisterOptions{Name: flow.GroupWorkflow})
	r.RegisterWorkflowWithOptions(flow.Begin, workflow.RegisterOptions{Name: flow.ScheduledWorkflow})
	r.RegisterActivityWithOptions(evaluate, activity.RegisterOptions{Name: flow.Evaluate})
}

// Activities are what workers do with these drivers; home is the state folder. What is
// returned makes them known, to any number of workers of this process.
func Activities(drivers map[string]target.Driver, home string) func(Registry) {
	return activitiesAt(drivers, home, stretch.Wall{})
}

func activitiesAt(drivers map[string]target.Driver, home string, c stretch.Clock) func(Registry) {
	acts := &workers.Activities{
		Drivers: drivers,
		Store:   func(dir string) (target.Blobs, error) { return blob.OpenFolder(dir) },
		Secrets: func(ctx context.Context, s workers.Submission) (map[string]string, error) {
			return resolve(ctx, home, s.Job.ID, s.Secrets)
		},
		Discard: func(run string) error { return secrets.Forget(home, run) },
	}
	stretches := stretch.New(acts, evaluate, c)
	return func(r Registry) {
		acts.Register(r)
		stretches.Register(r)
		r.RegisterActivityWithOptions(prepareScheduled(home), activity.RegisterOptions{Name: flow.PrepareScheduled})
	}
}
