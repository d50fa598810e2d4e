package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine"

	"github.com/spf13/cobra"
)

// lastRun stands for the newest run wherever a run is wanted.
const lastRun = "@last"

func (p *program) waitVerb() *cobra.Command {
	var limit time.Duration
	v := &cobra.Command{
		Use:   "wait [RUN]",
		Short: "Watch a run until it ends, and end as it did",
		Long: `Wait watches a run, the newest when none is named, and ends with its exit code:
0 succeeded, 10 failed, 11 cancelled, 12 timed out; 8 when --timeout came first.`,
		Args: takes(0, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			v := p.newView(nil)
			e, id, err := p.runOf(ctx, args, v.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			if limit <= 0 {
				return p.watch(ctx, e, id, v)
			}
			return p.watchFor(ctx, limit, e, id, v)
		},
	}
	v.Flags().DurationVar(&limit, "timeout", 0, "stop waiting after this long, such as 10m")
	return p.prints(v, "json", "ndjson")
}

// watchFor watches for a limited time. The bound itself is no failure: the run
// goes on.
func (p *program) watchFor(ctx context.Context, limit time.Duration, e *engine.Engine, id string, v view) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := p.watch(ctx, e, id, v)
	var over ended
	if err == nil || errors.As(err, &over) {
		return err
	}
	if until, _ := ctx.Deadline(); time.Until(until) < time.Second {
		<-ctx.Done() // a call may notice the end of its time a moment before the context does
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ended{exitRunning, fmt.Errorf("run %s still goes on after %v", id, limit)}
	}
	return err
}

// runOf opens the engine and finds the run that the arguments name.
func (p *program) runOf(ctx context.Context, args []string, notice func(string)) (*engine.Engine, string, error) {
	ref := lastRun
	if len(args) > 0 {
		ref = args[0]
	}
	w, err := p.workspace()
	if err != nil {
		return nil, "", err
	}
	e, err := p.open(ctx, w, notice)
	if err != nil {
		return nil, "", err
	}
	id, err := e.Find(ctx, ref)
	if err != nil {
		e.Close()
		return nil, "", err
	}
	return e, id, nil
}
