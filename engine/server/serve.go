package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// Options say what the process does besides holding Temporal.
type Options struct {
	Seat  Seat
	Build string        // of this program; a client of another build replaces the server
	Idle  time.Duration // how long to stay when there is nothing to do
	Log   *slog.Logger
	// Workflows and Activities make these known to a worker. There are two: one
	// runs workflows and follows jobs, the other has only activities, which must
	// not wait behind jobs.
	Workflows  func(worker.Registry)
	Activities func(worker.Registry)
	// Ready is told how to talk to Temporal, once that is known; nil: nobody wants to know.
	Ready func(c client.Client)
	// Stays reports whether there is something to stay for though no run is open; nil: never.
	Stays func(ctx context.Context) bool
}

// ErrTaken says that another process serves this seat.
var ErrTaken = errors.New("another process serves this state folder")

// Serve is the background process. It returns when it is idle, when it is asked
// to stop, or when ctx ends. When it cannot start it leaves the reason for
// whoever started it.
func Serve(ctx context.Context, o Options) error {
	if err := o.Seat.Prepare(); err != nil {
		return err
	}
	release, err := lock(o.Seat.lockFile())
	if err != nil {
		return err
	}
	defer release()
	_ = os.Remove(o.Seat.failureFile())
	if err := serve(ctx, o); err != nil {
		_ = os.WriteFile(o.Seat.failureFile(), []byte(err.Error()), 0o600)
		return err
	}
	return nil
}

func serve(ctx context.Context, o Options) error {
	queue, err := o.Seat.queue()
	if err != nil {
		return err
	}
	t, err := o.reach(ctx)
	if err != nil {
		return err
	}
	defer t.stop()
	c, address := t.client, t.address
	defer c.Close()
	if o.Ready != nil {
		o.Ready(c)
	}
	info := Info{PID: os.Getpid(), Build: o.Build, Address: address, Queue: queue}
	// One that stops takes its word with it. Where nobody else can have any work, it is
	// looked for all the same: it may not have had the time to hand it over.
	if _, err := o.Seat.info(); err == nil || o.Seat.External == nil {
		o.adopt(ctx, c, namespaceOf(address), queue)
	}
	stopWorkers, err := o.workers(c, info)
	if err != nil {
		return err
	}
	defer stopWorkers()
	control, err := startControl(&info)
	if err != nil {
		return err
	}
	defer control.close()
	if err := writeJSON(o.Seat.infoFile(), info); err != nil {
		return err
	}
	defer os.Remove(o.Seat.infoFile())
	o.Log.Info("serving", "pid", info.PID, "temporal", address, "queue", queue)
	return o.stay(ctx, c, control, t.failed)
}

// maxRuns is how many runs one server carries on at once; more wait their turn. Its jobs
// are bounded elsewhere.
const maxRuns = 2000

func (o Options) workers(c client.Client, info Info) (stop func(), err error) {
	options := worker.Options{
		MaxConcurrentActivityExecutionSize: maxRuns,
		MaxHeartbeatThrottleInterval:       time.Second,
		DefaultHeartbeatThrottleInterval:   time.Second,
		WorkerStopTimeout:                  time.Second,
	}
	worker.SetStickyWorkflowCacheSize(remembered)
	jobs := worker.New(c, info.Queue, options)
	options.DisableWorkflowWorker = true
	control := worker.New(c, info.ControlQueue(), options)
	o.Workflows(jobs)
	o.Activities(jobs)
	o.Activities(control)
	if err := jobs.Start(); err != nil {
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	if err := control.Start(); err != nil {
		jobs.Stop()
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	return func() { control.Stop(); jobs.Stop() }, nil
}

// stay returns when there has been nothing to do for a while, or with the reason
// why Temporal cannot go on.
func (o Options) stay(ctx context.Context, c client.Client, control *control, failed <-chan error) error {
	tick := time.NewTicker(max(o.Idle/10, 50*time.Millisecond))
	defer tick.Stop()
	idleSince := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-control.stopped:
			return nil
		case err := <-failed:
			return err
		case <-tick.C:
		}
		if control.held() || o.busy(ctx, c) || o.Stays != nil && o.Stays(ctx) {
			idleSince = time.Now()
		}
		if time.Since(idleSince) >= o.Idle {
			o.Log.Info("stopping: nothing to do", "for", o.Idle)
			return nil
		}
	}
}

// lock takes the file for as long as this process lives.
func lock(file string) (release func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrTaken, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
