package main

import (
	"context"
	"os/exec"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// floorQueue is the task queue of the floor.
const floorQueue = "floor"

// floorInput says what the floor's workflow does.
type floorInput struct {
	Stages   int
	Parallel bool // all at once, and one more behind them
	Local    bool // as local activities
}

// startWorker starts a worker as the SDK makes it when it is told nothing.
func startWorker(ctx context.Context, at cluster.Address) (stop func(), err error) {
	c, err := cluster.Dial(ctx, at, nil)
	if err != nil {
		return nil, err
	}
	w := worker.New(c, floorQueue, worker.Options{})
	w.RegisterWorkflow(floorWorkflow)
	w.RegisterActivity(execTrue)
	if err := w.Start(); err != nil {
		c.Close()
		return nil, err
	}
	return func() { w.Stop(); c.Close() }, nil
}

// execTrue is a stage of the floor.
func execTrue(ctx context.Context) error { return exec.CommandContext(ctx, "/bin/true").Run() }

// floorWorkflow is the least that does the work durably on Temporal.
func floorWorkflow(ctx workflow.Context, in floorInput) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
	if !in.Parallel {
		return oneByOne(ctx, in)
	}
	var all []workflow.Future
	for range in.Stages {
		all = append(all, in.begin(ctx))
	}
	for _, f := range all {
		if err := f.Get(ctx, nil); err != nil {
			return err
		}
	}
	return in.begin(ctx).Get(ctx, nil)
}

func oneByOne(ctx workflow.Context, in floorInput) error {
	for range in.Stages {
		if err := in.begin(ctx).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func (in floorInput) begin(ctx workflow.Context) workflow.Future {
	if in.Local {
		return workflow.ExecuteLocalActivity(ctx, execTrue)
	}
	return workflow.ExecuteActivity(ctx, execTrue)
}
