package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/spf13/cobra"
)

func (p *program) whyVerb() *cobra.Command {
	return p.prints(&cobra.Command{
		Use:   "why [RUN [STAGE]]",
		Short: "Say why a run did what it did, from what it recorded",
		Long: `Why tells of each stage of a run (the newest when none is named), or of one stage,
what was decided and for what reason: why it ran, reused earlier results or was
skipped, what its condition saw, which target was chosen, what became of each
attempt. It reads the run's own record: files that changed since do not matter.`,
		Args: takes(0, 2), ValidArgsFunction: p.completeStages,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, id, err := p.runOf(cmd.Context(), args[:min(len(args), 1)], p.notice)
			if err != nil {
				return err
			}
			defer e.Close()
			r, err := e.Progress(cmd.Context(), id)
			if err != nil {
				return err
			}
			stages, err := chosenStages(r, args)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return p.json(map[string]any{"run": id, "stages": explained(stages)})
			}
			for _, s := range stages {
				p.print("%s", p.paintOut(bold, s.name)+" "+state(p.colourOut, s.progress.Status))
				for _, line := range reasonsOf(s.progress) {
					p.print("  %s", clean(line))
				}
			}
			return nil
		},
	}, "json")
}

// told is a stage under its whole name: with the stages around it.
type told struct {
	name     string
	progress *flow.StageProgress
}

// chosenStages are all stages of a run or, when one is named, that one.
func chosenStages(r *flow.Progress, args []string) ([]told, error) {
	if len(args) < 2 {
		var all []told
		for i := range r.Stages {
			all = append(all, told{r.Stages[i].Name, &r.Stages[i]})
		}
		return all, nil
	}
	if err := hasStage(r, args[1]); err != nil {
		return nil, err
	}
	return []told{{args[1], r.Find(args[1])}}, nil
}

// reasonsOf are the reasons for what became of a stage, in the order in which they
// came up.
func reasonsOf(s *flow.StageProgress) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s.Because != "" {
		add("%s", s.Because)
	}
	if s.Why != "" {
		add("%s", s.Why)
	}
	if r := s.Reused; r != nil {
		add("it has the results of job %s of run %s, of %s: nothing that decides them has changed", r.Job, r.Run, r.At.Local().Format(time.DateTime))
	}
	if s.Fresh != "" {
		add("it ran, since %s", s.Fresh)
	}
	for _, n := range s.Notes {
		add("%s", n)
	}
	if s.Sweep != nil {
		add("%s", standing(s))
		if s.Sweep.Over != "" {
			add("it ended since %s", s.Sweep.Over)
		}
	} else if c := s.Count; c != nil {
		add("of %d items %d succeeded, %d failed, %d were skipped", c.Total, c.Succeeded, c.Failed, c.Skipped)
	}
	switch {
	case s.Error != "":
		add("%s: %s", or(string(s.Cause), "error"), s.Error)
		add("at %s", s.At)
	case s.Status == target.Succeeded && s.Reused == nil && s.Target != "":
		add("it ran on %s in %s", s.Target, span(s.Started, s.Ended))
	case s.Status == target.Running && s.Target != "":
		add("it runs on %s since %s", s.Target, s.Started.Local().Format(time.DateTime))
	}
	for i := range s.Items {
		if item := &s.Items[i]; item.Status != target.Succeeded || item.Reused != nil {
			add("%s %s %s: %s", item.Name, item.Label, item.Status, strings.Join(reasonsOf(item), "; "))
		}
	}
	if s.Nested != nil {
		for i := range s.Nested.Stages {
			inner := &s.Nested.Stages[i]
			add("%s/%s %s: %s", s.Name, inner.Name, inner.Status, strings.Join(reasonsOf(inner), "; "))
		}
	}
	return out
}

type explanation struct {
	Stage   string       `json:"stage"`
	Status  target.State `json:"status"`
	Reasons []string     `json:"reasons"`
}

func explained(all []told) []explanation {
	out := make([]explanation, len(all))
	for i, s := range all {
		out[i] = explanation{s.name, s.progress.Status, append([]string{}, reasonsOf(s.progress)...)}
	}
	return out
}
