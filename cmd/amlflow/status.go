package main

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) statusVerb() *cobra.Command {
	var tell bool
	v := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show a run as it stands",
		Long: `Status shows a run, the newest when none is named: each stage, where it runs,
since when, its results, and why it failed. -o json prints the object that
` + "`run -o json`" + ` ends with, at any time.`,
		Args: takes(0, 1), ValidArgsFunction: p.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, id, err := p.runOf(cmd.Context(), args, p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			r, err := e.Progress(cmd.Context(), id)
			if err != nil {
				return err
			}
			e.Measure(cmd.Context(), r)
			if p.output == "json" {
				record := recordOf(r)
				record.Gone = engine.GoneOf(r)
				err = p.json(record)
			} else {
				p.showRun(r)
			}
			if err == nil && tell {
				err = silently(codeOfRun(r))
			}
			return err
		},
	}
	v.Flags().BoolVar(&tell, "exit-code", false, "end as the run did, or with 8 while it goes on")
	return p.prints(v, "json")
}

func (p *program) showRun(r *flow.Progress) {
	how := "in"
	if r.Status == target.Running {
		how = "for"
	}
	p.print("run %s  %s  %s %s %s", p.paintOut(bold, r.Run), r.Pipeline, state(p.colourOut, r.Status), how, span(r.Started, r.Ended))
	if r.Why != "" {
		p.print("%s", clean(r.Why))
	}
	p.print("")
	rows := [][]string{p.heading("STAGE", "STATUS", "TARGET", "TRY", "TOOK", "RESULT")}
	table(p.out, p.statusRows(rows, r.Stages, "", nil))
	for _, line := range p.waiting(r, map[string]bool{}) {
		p.print("%s", line)
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Status == target.Failed || s.Status == target.Lost {
			p.failure(p.out, p.colourOut, r, s)
		}
	}
	p.showGone(engine.GoneOf(r))
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

// statusRows are the stages of a run and, set in below each, its items and those of
// the pipeline that it runs.
func (p *program) statusRows(rows [][]string, stages []flow.StageProgress, indent string, of *flow.SweepProgress) [][]string {
	for i := range stages {
		s := &stages[i]
		took := span(s.Started, s.Ended)
		if s.Status == flow.Skipped {
			took = ""
		}
		name := strings.TrimSpace(s.Name + " " + clean(s.Label))
		rows = append(rows, []string{indent + name, state(p.colourOut, s.Status), or(s.Target, "-"), number(float64(s.Attempts)), or(took, "-"), result(s, of)})
		rows = p.statusRows(rows, ranked(s), indent+"  ", s.Sweep)
		if s.Nested != nil {
			rows = p.statusRows(rows, s.Nested.Stages, indent+"  ", nil)
		}
	}
	return rows
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
