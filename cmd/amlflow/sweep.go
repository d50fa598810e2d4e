package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/workers/target"
)

// standing says how far a stage with items or trials has come.
func standing(s *flow.StageProgress) string {
	if s.Sweep == nil {
		return counted(s.Count)
	}
	text := trialsOf(s)
	if best := bestOf(s); best != nil {
		text += fmt.Sprintf(", best %s %s (%s)", best.Name, objective(s.Sweep, best.Trial), best.Label)
	}
	return text
}

// trialsOf says how many trials of a sweep have ended, and how.
func trialsOf(s *flow.StageProgress) string {
	done, text := 0, ""
	if c := s.Count; c != nil {
		done = c.Succeeded + c.Failed + c.Cancelled + c.Stopped
	}
	if s.Sweep.Trials > 0 && !s.Status.Ended() {
		text = fmt.Sprintf("%d of %d trials", done, s.Sweep.Trials)
	} else {
		text = count(len(s.Items), "trial")
	}
	if c := s.Count; c != nil && c.Stopped > 0 {
		text += fmt.Sprintf(", %d stopped", c.Stopped)
	}
	if c := s.Count; c != nil && c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	return text
}

// sweepFirst is what is said of a stage with a sweep before anything else.
func sweepFirst(s *flow.StageProgress) string {
	if s.Sweep == nil || s.Status == target.Failed {
		return ""
	}
	return standing(s)
}

// objective is the value of a trial, with its name.
func objective(s *flow.SweepProgress, t *flow.Trial) string {
	if t == nil || t.Value == nil {
		return ""
	}
	return s.Objective.Metric + " " + number(*t.Value)
}

// ranked are the trials of a sweep, the best first; those without a value come last, in
// their order.
func ranked(s *flow.StageProgress) []flow.StageProgress {
	if s.Sweep == nil {
		return s.Items
	}
	all := slices.Clone(s.Items)
	slices.SortStableFunc(all, func(a, b flow.StageProgress) int {
		x, y := tier(s, &a), tier(s, &b)
		if x != y || x == 2 {
			return cmp.Compare(x, y)
		}
		switch g := s.Sweep.Objective; {
		case g.Better(*a.Trial.Value, *b.Trial.Value):
			return -1
		case g.Better(*b.Trial.Value, *a.Trial.Value):
			return 1
		}
		return 0
	})
	return all
}

// tier tells the best trial, those with a value, and those without.
func tier(s, q *flow.StageProgress) int {
	switch {
	case q.Name == s.Sweep.Best:
		return 0
	case q.Trial != nil && q.Trial.Value != nil:
		return 1
	}
	return 2
}

// ofTrial is what a trial came to: its metrics, or its value so far, and after how many
// steps.
func ofTrial(sweep *flow.SweepProgress, q *flow.StageProgress) string {
	text := metrics(q.Metrics)
	if text == "" {
		text = objective(sweep, q.Trial)
	}
	if q.Trial != nil && q.Trial.Steps > 1 && text != "" {
		text += fmt.Sprintf("  (%s steps)", number(q.Trial.Steps))
	}
	return first(text, q.Error, q.Why)
}

// tunes says what a stage with a sweep does.
func tunes(s *plan.Sweep) string {
	text := s.Algorithm.Kind
	if s.Trials > 0 {
		text += ", " + count(s.Trials, "trial")
	}
	if s.Parallel > 1 {
		text += fmt.Sprintf(", %d at once", s.Parallel)
	}
	if s.Stop.Kind != "" {
		text += ", " + s.Stop.Kind
		if s.Stop.Kind == tune.ASHA && s.Rests {
			text += " with pauses"
		}
	}
	return "tunes by " + text
}
