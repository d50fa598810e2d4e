package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

// drillPause is the time between two looks at the stage that is to be evicted.
const drillPause = 50 * time.Millisecond

func (p *program) drillVerb() *cobra.Command {
	var c choices
	var stage string
	var at time.Duration
	v := &cobra.Command{
		Use:   "drill FILE|RUN --evict STAGE[:RANK] [--at 5s]",
		Short: "Rehearse that a machine is taken away from a stage",
		Long: `Drill runs a pipeline, or takes a run that is under way, and takes the machine away
from a stage while it runs: its job is asked to end, as when a cheap machine is wanted
for something else. It then watches whether the stage is tried again, goes on from a
checkpoint and succeeds, and ends with 10 when it does not:

  amlflow drill train.pipeline.yaml --evict train --at 5s

Of a stage with several ranks, STAGE:RANK takes the machine of one of them away, and
the others must end because of it: either all ranks go on, or none does.

The stage needs a ` + "`checkpoint`" + `, and a ` + "`retry`" + ` that covers the cause "preempted".`,
		Args: takes(1, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if stage == "" {
				return usage(errors.New("which stage is the machine taken from? say --evict STAGE"))
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			return p.drill(cmd, args[0], &c, evicts(stage, at))
		},
	}
	c.flags(v)
	v.Flags().StringVar(&stage, "evict", "", "the stage whose machine is taken away, such as train, train:1, nested/train or shards[3]")
	v.Flags().DurationVar(&at, "at", 5*time.Second, "how long the stage has run by then")
	return p.prints(v, "json", "ndjson")
}

// eviction is what a drill does to one stage.
type eviction struct {
	stage string
	rank  int // or allRanks
	at    time.Duration

	attempt int // that was evicted
}

const allRanks = -1

// evicts reads what --evict says: no name of a stage has a colon.
func evicts(what string, at time.Duration) eviction {
	ev := eviction{stage: what, rank: allRanks, at: at}
	if stage, number, ok := strings.Cut(what, ":"); ok {
		if n, err := strconv.Atoi(number); err == nil && n >= 0 {
			ev.stage, ev.rank = stage, n
		}
	}
	return ev
}

// what is what loses its machine, for people.
func (ev *eviction) what() string {
	if ev.rank == allRanks {
		return strconv.Quote(ev.stage)
	}
	return fmt.Sprintf("rank %d of %q", ev.rank, ev.stage)
}

// do takes the machine away from a job, as a target's owner would.
func (ev *eviction) do(ctx context.Context, d target.Driver, t target.Target, job string) error {
	if ev.rank == allRanks {
		return d.Cancel(ctx, t, job, target.CausePreempted)
	}
	e, ok := d.(target.Evictor)
	if !ok {
		return fmt.Errorf("a target of kind %q cannot lose one rank of a job: leave out :%d, to take the whole job away", t.Kind, ev.rank)
	}
	return e.Evict(ctx, t, job, ev.rank)
}

func (p *program) drill(cmd *cobra.Command, what string, c *choices, ev eviction) error {
	ctx := cmd.Context()
	e, id, v, err := p.drilled(cmd, what, c)
	if err != nil {
		return err
	}
	defer e.Close()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	evicted := make(chan error, 1)
	go func() {
		err := ev.strike(watching, e, p.drivers(), id)
		if ev.attempt > 0 {
			p.say("the machine was taken from %s, attempt %d", ev.what(), ev.attempt)
		}
		if err != nil {
			stop() // there is nothing to watch for any more
		}
		evicted <- err
	}()
	err = p.watch(watching, e, id, v)
	stop()
	cause := <-evicted
	if ctx.Err() != nil {
		return err // the person stopped watching
	}
	if cause != nil {
		return ended{exitFailed, fmt.Errorf("the drill was not held: %w", cause)}
	}
	return p.judgeDrill(ctx, e, id, &ev)
}

// drilled is the run that the drill is held with: of a file a new one.
func (p *program) drilled(cmd *cobra.Command, what string, c *choices) (*engine.Engine, string, view, error) {
	if info, err := os.Stat(what); err != nil || info.IsDir() {
		v := p.newView(nil)
		e, id, err := p.runOf(cmd.Context(), []string{what}, v.notice)
		return e, id, v, err
	}
	made, err := p.prepare(cmd, what, c, engine.ToRun)
	if err != nil {
		return nil, "", nil, p.before(cmd.Context(), err)
	}
	v := p.newView(made)
	e, err := p.open(cmd.Context(), made.Workspace, v.notice)
	if err != nil {
		return nil, "", nil, p.before(cmd.Context(), err)
	}
	id, err := p.start(cmd.Context(), e, made, "")
	if err != nil {
		e.Close()
	}
	return e, id, v, err
}

// strike waits until the stage has run for a while, and takes its machine away. It
// knows the job from the run, and does what a target's owner would do.
func (ev *eviction) strike(ctx context.Context, e *engine.Engine, drivers map[string]target.Driver, id string) error {
	for {
		r, err := e.Progress(ctx, id)
		if err != nil {
			return unlessOver(ctx, err)
		}
		s := r.Find(ev.stage)
		switch {
		case r.Status.Ended() || s != nil && s.Status.Ended():
			return nil // judgeDrill says so
		case s != nil && s.Status == target.Running && s.Place != nil && s.Job != "":
			d, ok := drivers[s.Place.Kind]
			if !ok {
				return fmt.Errorf("this program has no driver for targets of kind %q", s.Place.Kind)
			}
			st, err := d.Status(ctx, *s.Place, s.Job)
			if err != nil {
				return unlessOver(ctx, err)
			}
			if st.State == target.Running && time.Since(st.Start) >= ev.at {
				if err := ev.do(ctx, d, *s.Place, s.Job); err != nil {
					return unlessOver(ctx, err)
				}
				ev.attempt = s.Attempts
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(drillPause):
		}
	}
}

// unlessOver is err, if it is not that the watching is over.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// judgeDrill says whether the stage went on from a checkpoint.
func (p *program) judgeDrill(ctx context.Context, e *engine.Engine, id string, ev *eviction) error {
	r, err := e.Progress(ctx, id)
	if err != nil {
		return err
	}
	s := r.Find(ev.stage)
	if s == nil {
		return ended{exitNotFound, fmt.Errorf("run %s has no stage %q", id, ev.stage)}
	}
	if wrong := ev.wrong(s); wrong != "" {
		return ended{exitFailed, fmt.Errorf("the drill of %s failed: %s", ev.what(), wrong)}
	}
	p.say("the drill of %s passed: attempt %d went on from a checkpoint, and succeeded", ev.what(), s.Attempts)
	return nil
}

// wrong says what did not go as it should; it is empty when all went well.
func (ev *eviction) wrong(s *flow.StageProgress) string {
	switch {
	case ev.attempt == 0:
		return fmt.Sprintf("it ended, as %s, before it had run for %s: choose an earlier moment with --at", s.Status, ev.at)
	case s.Attempts <= ev.attempt && s.Cause != target.CausePreempted:
		return fmt.Sprintf("the attempt ended by itself, as %s, before it could be stopped: choose another moment with --at", s.Status)
	case s.Attempts <= ev.attempt:
		return "it was not tried again: give it `retry: { budgets: { preempted: 20 } }`"
	case s.Resumed == "":
		return fmt.Sprintf("attempt %d began from nothing: there was no whole checkpoint in $AMLFLOW_CHECKPOINT; see `checkpoint` of a stage", s.Attempts)
	case s.Status != target.Succeeded:
		return fmt.Sprintf("attempt %d went on from a checkpoint, and was %s: %s", s.Attempts, s.Status, s.Error)
	}
	return ""
}
