package main

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"
)

// mostInner is how many lines are drawn below one stage.
const mostInner = 6

// inner are the parts of a stage that are drawn below it: those that run, of a sweep the
// best so far before them, and the stages of the pipeline that it runs.
func inner(s *flow.StageProgress) []*flow.StageProgress {
	parts := s.Items
	if s.Nested != nil {
		parts = s.Nested.Stages
	}
	var all []*flow.StageProgress
	for i := range parts {
		if q := &parts[i]; q.Status == target.Running && len(all) < mostInner {
			all = append(all, q)
		}
	}
	return all
}

// details are the lines below a stage that runs, at most room.
func (m *screen) details(s *flow.StageProgress, room int) []string {
	if s.Status != target.Running || room <= 0 {
		return nil
	}
	var lines []string
	if s.Sweep != nil {
		if best := bestOf(s); best != nil {
			lines = append(lines, "★ "+m.part(s, best))
		}
	}
	for _, q := range inner(s) {
		lines = append(lines, string(m.spin())+" "+m.part(s, q))
	}
	if len(lines) > room {
		lines = lines[:room]
	}
	return lines
}

// part is a line for a trial, an item, or a stage of another pipeline.
func (m *screen) part(s, q *flow.StageProgress) string {
	parts := []string{q.Name}
	if q.Status == target.Running {
		parts = append(parts, span(q.Started, q.Ended))
	}
	numbers := numbersOf(q)
	switch {
	case s.Sweep != nil:
		numbers = ofTrial(s.Sweep, q)
	case numbers == "":
		numbers = m.now.numbers[q.Name]
	}
	for _, more := range []string{numbers, q.Label, standing(q), q.Why} {
		if more != "" {
			parts = append(parts, clean(more))
		}
	}
	return strings.Join(parts, "  ")
}

func bestOf(s *flow.StageProgress) *flow.StageProgress {
	for i := range s.Items {
		if q := &s.Items[i]; q.Name == s.Sweep.Best {
			return q
		}
	}
	return nil
}

// gauge shows how far a stage has come of which that is known: trials, items, or what a
// batch scores; empty for others, and for those that have ended.
func (m *screen) gauge(s *flow.StageProgress) string {
	if s.Status != target.Running {
		return ""
	}
	done, all := 0.0, 0.0
	switch c := s.Count; {
	case s.Unit != "":
		last := m.now.values[s.Name]
		done, all = last["scored"]+last["failed"], last["items"]
	case c != nil:
		done, all = float64(c.Succeeded+c.Failed+c.Skipped+c.Cancelled+c.Stopped), float64(c.Total)
		if s.Sweep != nil {
			all = float64(s.Sweep.Trials) // 0: until its time is over
		}
	}
	if all <= 0 {
		return ""
	}
	const wide = 16
	full := min(int(wide*done/all), wide)
	return strings.Repeat("█", full) + strings.Repeat("░", wide-full)
}

// sofar is what is told of a stage with parts while it runs, where details are below it.
func (m *screen) sofar(s *flow.StageProgress) string {
	if s.Status != target.Running {
		return standing(s)
	}
	text := counted(s.Count)
	if s.Sweep != nil {
		text = trialsOf(s)
	}
	if n := runningParts(s); n > 0 && s.Count != nil {
		text += fmt.Sprintf(", %d running", n)
	}
	return text
}

func runningParts(s *flow.StageProgress) (n int) {
	for i := range s.Items {
		if s.Items[i].Status == target.Running {
			n++
		}
	}
	return n
}

// saidOf is what a stage has reported, as people read it.
func saidOf(s *flow.StageProgress, last map[string]float64) string {
	if _, counts := last["items"]; s.Unit != "" && counts {
		return batch.Progress(s.Unit, last)
	}
	return metrics(last)
}
