package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// mostRows is how many stages are shown unless all are asked for. Nobody reads a hundred
// thousand lines, and to lay them out takes seconds.
const mostRows = flow.ExcerptStages

// statusRow is a line for a stage, an item, or a stage of a pipeline within.
type statusRow struct {
	s      *flow.StageProgress
	of     *flow.SweepProgress // the sweep that it is a trial of
	depth  int
	within int // the row that it is set in below; -1: none
}

// rowsOf are the stages of a run and, set in below each, its items and those of the
// pipeline that it runs.
func rowsOf(rows []statusRow, stages []flow.StageProgress, of *flow.SweepProgress, depth, within int) []statusRow {
	for i := range stages {
		s := &stages[i]
		rows = append(rows, statusRow{s, of, depth, within})
		at := len(rows) - 1
		rows = rowsOf(rows, ranked(s), s.Sweep, depth+1, at)
		if s.Nested != nil {
			rows = rowsOf(rows, s.Nested.Stages, nil, depth+1, at)
		}
	}
	return rows
}

// pickRows tells which rows to show, about as many as most: the remarkable ones, and others
// from the beginning. What a row is set in below is shown, too.
func pickRows(rows []statusRow, most int) []bool {
	show, n := make([]bool, len(rows)), 0
	for _, want := range []func(*flow.StageProgress) bool{(*flow.StageProgress).Remarkable, func(*flow.StageProgress) bool { return true }} {
		for i := range rows {
			if n >= most || !want(rows[i].s) {
				continue
			}
			for at := i; at >= 0 && !show[at]; at = rows[at].within {
				show[at] = true
				n++
			}
		}
	}
	return show
}

// showStages shows the stages of a run, and counts those for which there is no room.
func (p *program) showStages(x flow.Excerpt, most int) {
	r := x.Progress
	rows := rowsOf(nil, r.Stages, nil, 0, -1)
	show := pickRows(rows, most)
	lines := [][]string{p.heading("STAGE", "STATUS", "TARGET", "TRY", "TOOK", "RESULT")}
	hidden, more := map[target.State]int{}, 0
	for status, n := range x.Others {
		hidden[status] += n
		more += n
	}
	for i, row := range rows {
		if show[i] {
			lines = append(lines, p.statusLine(row))
		} else {
			hidden[row.s.Status]++
			more++
		}
	}
	table(p.out, lines)
	if more == 0 {
		return
	}
	var counts []string
	for status, n := range hidden {
		if n == 0 {
			continue
		}
		counts = append(counts, fmt.Sprintf("%d %s", n, status))
	}
	slices.Sort(counts)
	p.print("…  and %d more: %s; `%s status %s --all` shows each", more, strings.Join(counts, ", "), invocation(), r.Run)
}

func (p *program) statusLine(row statusRow) []string {
	s := row.s
	took := span(s.Started, s.Ended)
	if s.Status == flow.Skipped {
		took = ""
	}
	name := strings.Repeat("  ", row.depth) + strings.TrimSpace(s.Name+" "+clean(s.Label))
	return []string{name, state(p.colourOut, s.Status), or(s.Target, "-"), number(float64(s.Attempts)), or(took, "-"), result(s, row.of)}
}
