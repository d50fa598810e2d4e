package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"

	"github.com/spf13/cobra"
)

// retryChoices is how a person wants a run done again.
type retryChoices struct {
	choices
	from   []string
	file   string
	look   bool // only show what would be kept
	detach bool
}

func (p *program) retryVerb() *cobra.Command {
	var c retryChoices
	v := &cobra.Command{
		Use:   "retry RUN",
		Short: "Run again what failed, and keep what is good",
		Long: `Retry begins a new run that keeps the good stages of an ended one, and first shows
which are kept and why. A stage is kept when it succeeded, is written as it was, and
all that it needs is kept; changes of its code folder do not count, and are told.
Of a stage over several items the good items are kept.

Without more it does the same plan again, from what failed. --from STAGE does that
stage and all behind it again. An edited pipeline (--file FILE), other parameters or
another target make a new plan of the file; what they do not touch is kept.`,
		Args: takes(1, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			return p.retry(cmd, args, &c)
		},
	}
	c.flags(v)
	f := v.Flags()
	f.StringArrayVar(&c.from, "from", nil, "do this stage again, and all that need it; may be repeated")
	f.StringVar(&c.file, "file", "", "take the pipeline from this file, which may have been edited")
	f.BoolVar(&c.look, "dry-run", false, "only show what would be kept")
	f.BoolVarP(&c.detach, "detach", "d", false, "return as soon as the run has started")
	return p.prints(v, "json", "ndjson")
}

func (p *program) retry(cmd *cobra.Command, args []string, c *retryChoices) error {
	ctx := cmd.Context()
	e, id, err := p.runOf(ctx, args, p.notice)
	if err != nil {
		return err
	}
	defer e.Close()
	o := engine.Retrying{From: c.from}
	for _, stage := range c.noCache {
		o.Anew = append(o.Anew, strings.TrimSuffix(stage, everyStage))
	}
	made, err := p.changed(cmd, e, id, c)
	if err != nil {
		return err
	}
	if made != nil {
		o.Plan, o.Store = made.Plan, made.Store
	}
	r, told, err := e.Retry(ctx, id, o)
	switch {
	case errors.Is(err, engine.ErrNoStage):
		return ended{exitNotFound, err}
	case errors.Is(err, engine.ErrStillRunning):
		return ended{exitConflict, err}
	case errors.Is(err, engine.ErrNothingToRetry):
		return ended{exitConflict, fmt.Errorf("%w: --from STAGE does one again all the same", err)}
	case err != nil:
		return err
	}
	if err := p.retained(id, told, c.look); err != nil || c.look {
		return err
	}
	if made != nil {
		r.Dir = whole(made.Workspace.Dir)
	}
	r.Host = hostEnv(os.Environ())
	if r.Secrets, err = engine.GatherSecrets(p.home, flow.Secrets(r.Plan, r.Dir), os.LookupEnv); err != nil {
		return ended{exitNotFound, err}
	}
	next, err := e.Start(context.WithoutCancel(ctx), r) // once asked for, it may have begun
	if err != nil {
		return err
	}
	if c.detach {
		return p.left(next)
	}
	return p.watch(ctx, e, next, p.newView(made))
}

// changed makes the plan anew when the person wants something else than the run did;
// else it is nil.
func (p *program) changed(cmd *cobra.Command, e *engine.Engine, id string, c *retryChoices) (*engine.Prepared, error) {
	if c.file == "" && len(c.params)+len(c.targets) == 0 && c.paramsFile == "" && c.profile == "" {
		return nil, nil
	}
	if c.file == "" {
		file, err := e.FileOf(cmd.Context(), id)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(file); err != nil {
			return nil, usage(fmt.Errorf("the pipeline of run %s was read from %q, which is not there: name it with --file", id, file))
		}
		c.file = file
	}
	return p.prepare(cmd, c.file, &c.choices, engine.ToRun)
}

// retained shows what is kept: for people before the run, for machines instead of it.
func (p *program) retained(id string, told []flow.Retained, look bool) error {
	if look && p.output != "table" {
		return p.json(map[string]any{"retry_of": id, "stages": told})
	}
	rows := [][]string{{"STAGE", "", "WHY"}}
	for _, s := range told {
		does := "run"
		switch {
		case s.Kept:
			does = "keep"
		case s.Items > 0:
			does = fmt.Sprintf("run, but for %d items", s.Items)
		}
		rows = append(rows, []string{s.Stage, does, clean(s.Why)})
	}
	if look {
		table(p.out, rows)
		return nil
	}
	if p.output == "table" {
		table(p.err, rows)
	}
	return nil
}
