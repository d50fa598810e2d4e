package main

import (
	"context"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) cancelVerb() *cobra.Command {
	var leave bool
	v := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run, and wait until nothing of it is alive",
		Long: `Cancel asks every job of a run to stop (TERM, then KILL after its grace), and
returns when nothing of it is alive. Stages in ` + "`finally`" + ` still run. A run that
has ended is left as it is, so cancelling may be repeated.`,
		Args: takes(1, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			err = p.cancel(ctx, e, id, leave)
			if interrupted(ctx, err) {
				return p.comeBack(id)
			}
			return err
		},
	}
	v.Flags().BoolVarP(&leave, "detach", "d", false, "return at once")
	return p.prints(v, "json")
}

func (p *program) cancel(ctx context.Context, e *engine.Engine, id string, leave bool) error {
	before, err := e.Progress(ctx, id)
	if err != nil {
		return err
	}
	if before.Status.Ended() {
		p.say("run %s had ended already, as %s", id, before.Status)
		return p.cancelled(before)
	}
	if err := e.Cancel(ctx, id); err != nil {
		return err
	}
	if leave {
		p.say("run %s is being cancelled", id)
		return p.cancelled(before)
	}
	p.say("cancelling run %s", id)
	r, err := e.Watch(ctx, id, func(*flow.Progress) {})
	if err != nil {
		return err
	}
	if r.Status == target.Cancelled {
		p.say("run %s is cancelled, and nothing of it is alive", id)
	} else {
		p.say("run %s ended before it could be cancelled: it %s", id, r.Status)
	}
	return p.cancelled(r)
}

func (p *program) cancelled(r *flow.Progress) error {
	if p.output == "json" {
		return p.json(recordOf(r))
	}
	return nil
}
