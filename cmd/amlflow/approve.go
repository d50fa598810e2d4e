package main

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"

	"github.com/spf13/cobra"
)

func (p *program) approveVerb() *cobra.Command {
	return p.decideVerb("approve", "Let a stage go on that waits for a person", true)
}

func (p *program) rejectVerb() *cobra.Command {
	return p.decideVerb("reject", "Fail a stage that waits for a person", false)
}

func (p *program) decideVerb(use, short string, yes bool) *cobra.Command {
	var comment string
	v := &cobra.Command{
		Use:   use + " [RUN [STAGE]]",
		Short: short,
		Long: fmt.Sprintf(`%s answers a stage with %s of a run, the newest when none is named; the
stage may be left out when only one waits. What you answer is the plan that the run
was started with: another plan is not answered. You are known by the name of your
account on this computer. Answering the same again changes nothing.`, strings.ToUpper(use[:1])+use[1:], "`approve`"),
		Args: takes(0, 2), ValidArgsFunction: p.completeStages,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			e, id, err := p.runOf(ctx, args[:min(len(args), 1)], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			stage := ""
			if len(args) == 2 {
				stage = args[1]
			}
			return p.decide(ctx, e, id, stage, flow.Decision{Approve: yes, Comment: comment})
		},
	}
	v.Flags().StringVarP(&comment, "message", "m", "", "why, for the record")
	return p.prints(v, "json")
}

func (p *program) decide(ctx context.Context, e *engine.Engine, id, stage string, d flow.Decision) error {
	who, err := account()
	if err != nil {
		return err
	}
	d.By = who
	stage, err = e.Decide(ctx, id, stage, d)
	if err != nil {
		return err
	}
	verb := map[bool]string{true: "approved", false: "rejected"}[d.Approve]
	if p.output == "json" {
		return p.json(map[string]any{"run": id, "stage": stage, "decision": verb, "by": d.By})
	}
	p.say("stage %s of run %s is %s by %s", stage, id, verb, d.By)
	return nil
}

// account is the name that the operating system knows this person by. Variables are
// not asked: anybody can set them.
func account() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("find out who you are: %w", err)
	}
	return u.Username, nil
}

// waiting tells a person which stages of a run wait for somebody, and how to answer.
func (p *program) waiting(r *flow.Progress, told map[string]bool) []string {
	var out []string
	for _, q := range engine.Questions(r) {
		if told[q.Stage] {
			continue
		}
		told[q.Stage] = true
		text := fmt.Sprintf("stage %s waits for %s", q.Stage, or(strings.Join(q.Approval.By, " or "), "somebody"))
		if q.Approval.Message != "" {
			text += ": " + clean(q.Approval.Message)
		}
		if until := q.Approval.Until; !until.IsZero() {
			text += fmt.Sprintf(" (until %s)", until.Local().Format(time.DateTime))
		}
		out = append(out, text, fmt.Sprintf("  %s approve %s %s   or   %s reject %s %s", invocation(), r.Run, q.Stage, invocation(), r.Run, q.Stage))
	}
	return out
}
