//go:build !slim

package cluster

import (
	"context"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

func nothing(context.Context) error { return nil }

// steps runs n activities that do nothing, one after the other or all at once.
func steps(ctx workflow.Context, n int, atOnce bool) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var open []workflow.Future
	for range n {
		f := workflow.ExecuteActivity(ctx, nothing)
		if open = append(open, f); !atOnce {
			_ = f.Get(ctx, nil)
		}
	}
	for _, f := range open {
		if err := f.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func registerSteps(r worker.Registry) { r.RegisterWorkflow(steps); r.RegisterActivity(nothing) }

func runSteps(b *testing.B, c client.Client, n int, atOnce bool) {
	b.Helper()
	run, err := c.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{TaskQueue: queue}, steps, n, atOnce)
	if err := firstError(err, func() error { return run.Get(b.Context(), nil) }); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFirst is from nothing running to the end of a first workflow of one step, on a folder that was used before, and all
// the way down again.
func BenchmarkFirst(b *testing.B) {
	dir := b.TempDir()
	var up, first time.Duration
	for b.Loop() {
		began := time.Now()
		e, err := Start(b.Context(), Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		up += time.Since(began)
		c := dialled(b, e.Address())
		w := work(b, c, registerSteps)
		runSteps(b, c, 1, false)
		first += time.Since(began)
		w.Stop()
		c.Close()
		e.Stop()
	}
	b.ReportMetric(float64(up.Milliseconds())/float64(b.N), "ms-up")
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms-first")
}

func BenchmarkSteps(b *testing.B) {
	for _, o := range []Options{{}, {Durable: true}} {
		name := "normal"
		if o.Durable {
			name = "durable"
		}
		o.Dir = b.TempDir()
		e, err := Start(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(e.Stop)
		c := dialled(b, e.Address())
		work(b, c, registerSteps)
		b.Run(name+"/100 in a row", func(b *testing.B) {
			for b.Loop() {
				runSteps(b, c, 100, false)
			}
		})
		b.Run(name+"/1000 at once", func(b *testing.B) {
			for b.Loop() {
				runSteps(b, c, 1000, true)
			}
		})
	}
}
