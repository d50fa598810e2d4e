package main

import (
	"context"
	"fmt"
	"math"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) statusVerb() *cobra.Command {
	var tell, all bool
	v := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show a run as it stands",
		Long: `Status shows a run, the newest when none is named: each stage, where it runs,
since when, its results, and why it failed. Of a run of very many stages it shows
what is under way or has failed, and counts the others, unless --all is given.
-o json prints the object that ` + "`run -o json`" + ` ends with, at any time.`,
		Args: takes(0, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, id, err := p.runOf(cmd.Context(), args, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			look := e.Glance
			if all || p.output == "json" {
				look = func(ctx context.Context, id string) (flow.Excerpt, error) {
					r, err := e.Progress(ctx, id)
					return flow.Excerpt{Progress: r}, err
				}
			}
			x, err := look(cmd.Context(), id)
			if err != nil {
				return err
			}
			r := x.Progress
			e.Measure(cmd.Context(), r)
			if p.output == "json" {
				record := recordOf(r)
				record.Gone = engine.GoneOf(r)
				err = p.json(record)
			} else {
				p.showRun(x, all)
			}
			if err == nil && tell {
				err = silently(codeOfRun(r))
			}
			return err
		},
	}
	v.Flags().BoolVar(&all, "all", false, "show every stage, however many they are")
	v.Flags().BoolVar(&tell, "exit-code", false, "end as the run did, or with 8 while it goes on")
	return p.prints(v, "json")
}

func (p *program) showRun(x flow.Excerpt, all bool) {
	r := x.Progress
	how := "in"
	if r.Status == target.Running {
		how = "for"
	}
	p.print("run %s  %s  %s %s %s", p.paintOut(bold, r.Run), r.Pipeline, state(p.colourOut, r.Status), how, span(r.Started, r.Ended))
	if r.Why != "" {
		p.print("%s", clean(r.Why))
	}
	p.print("")
	most := mostRows
	if all {
		most = math.MaxInt
	}
	p.showStages(x, most)
	for _, line := range p.waiting(r, map[string]bool{}) {
		p.print("%s", line)
	}
	p.showFailures(x, most)
	p.showGone(engine.GoneOf(r))
}

// showFailures shows why stages failed, the first of them if they are very many.
func (p *program) showFailures(x flow.Excerpt, most int) {
	r, n := x.Progress, 0
	for i := range r.Stages {
		s := &r.Stages[i]
		if s.Status != target.Failed && s.Status != target.Lost {
			continue
		}
		if n++; n <= most {
			p.failure(p.out, p.colourOut, r, s)
		}
	}
	if more := max(n-most, 0) + x.Others[target.Failed] + x.Others[target.Lost]; more > 0 {
		p.print("\n%d more failed", more)
	}
}

// showGone says what is no longer kept of what a run made.
func (p *program) showGone(gone []engine.Gone) {
	const most = 10
	for i, g := range gone {
		if i == 0 {
			p.print("")
		}
		if i == most {
			p.print("no longer kept: %d more", len(gone)-most)
			return
		}
		what := "the log of " + g.Stage
		if g.Output != "" {
			what = fmt.Sprintf("the output %q of %s", g.Output, g.Stage)
		}
		p.print("no longer kept: %s (%s)", what, g.Artifact)
	}
}

// result is the most telling thing about a stage.
func result(s *flow.StageProgress, of *flow.SweepProgress) string {
	if of != nil {
		return clean(ofTrial(of, s))
	}
	reused := ""
	if s.Reused != nil {
		reused = "reused from run " + s.Reused.Run
	}
	url := s.URL
	if url != "" && s.Why != "" && !s.Status.Ended() { // it answers, and is watched
		url += "  " + s.Why
	}
	return clean(first(url, sweepFirst(s), numbersOf(s), counted(s.Count), reused, s.Why, s.Error))
}

// counted says how far a stage with several items has come.
func counted(c *flow.Count) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%d of %d", c.Succeeded+c.Failed+c.Skipped+c.Cancelled, c.Total)
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	return text
}
