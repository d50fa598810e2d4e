package main

import (
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
			if p.output == "json" {
				err = p.json(recordOf(r))
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
	p.print("")
	rows := [][]string{p.heading("STAGE", "STATUS", "TARGET", "TRY", "TOOK", "RESULT")}
	for i := range r.Stages {
		s := &r.Stages[i]
		took := span(s.Started, s.Ended)
		if s.Status == flow.Skipped {
			took = ""
		}
		rows = append(rows, []string{s.Name, state(p.colourOut, s.Status), or(s.Target, "-"), number(float64(s.Attempts)), or(took, "-"), result(s)})
	}
	table(p.out, rows)
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Status == target.Failed || s.Status == target.Lost {
			p.failure(p.out, p.colourOut, r, s)
		}
	}
}

// result is the most telling thing about a stage.
func result(s *flow.StageProgress) string {
	return clean(first(s.URL, metrics(s.Metrics), s.Why, s.Error))
}
