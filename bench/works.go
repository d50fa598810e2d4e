package main

import (
	"fmt"
	"strconv"
	"strings"
)

// shape says how the stages of a work hang together.
type shape string

const (
	chain shape = "chain" // each needs the one before it
	fan   shape = "fan"   // all side by side, and one that needs them all
	each  shape = "each"  // one stage over a list of items, and one that needs it
	many  shape = "many"  // many small chains, each a run of its own
	lines shape = "lines" // one stage that writes much
	kill  shape = "kill"  // a chain whose engine is killed half way
)

// before says what is there when a work begins.
type before string

const (
	warm    before = ""        // everything that stays between runs is up
	stopped before = "stopped" // it ran before, and nothing is up
	fresh   before = "fresh"   // it never ran before
)

// work is one line of the table. Every stage is /bin/true unless the shape needs more.
type work struct {
	Name   string `json:"name"`
	Shape  shape  `json:"shape"`
	Stages int    `json:"stages"` // of a run, without the join
	// Runs is how many runs the work is; it ends when all have.
	Runs int `json:"runs,omitempty"`
	// Check says that the work is only to find mistakes, and runs nothing.
	Check  bool   `json:"check,omitempty"`
	Before before `json:"before,omitempty"`
}

const (
	manyRuns   = 200
	manyAtOnce = 8         // how many of them are submitted at a time
	logLines   = 1_000_000 // of 100 bytes
	lineLength = 100       // with its end
	atOnce     = 256       // stages at a time, for tools that ask: as many as amlflow runs
	killStages = 100
	killAfter  = 50
)

// killName is the work whose figure is no time of a command, but of the longest pause.
const killName = "killed at stage 50 of 100: the gap"

var works = []work{
	{Name: "one stage, engine up", Shape: chain, Stages: 1},
	{Name: "one stage, nothing running", Shape: chain, Stages: 1, Before: stopped},
	{Name: "one stage, first run ever", Shape: chain, Stages: 1, Before: fresh},
	{Name: "chain of 100", Shape: chain, Stages: 100},
	{Name: "chain of 1,000", Shape: chain, Stages: 1_000},
	{Name: "chain of 10,000", Shape: chain, Stages: 10_000},
	{Name: "chain of 100,000", Shape: chain, Stages: 100_000},
	{Name: "fan-out of 100, join", Shape: fan, Stages: 100},
	{Name: "fan-out of 1,000, join", Shape: fan, Stages: 1_000},
	{Name: "fan-out of 10,000, join", Shape: fan, Stages: 10_000},
	{Name: "fan-out of 100,000, join", Shape: fan, Stages: 100_000},
	{Name: "one stage over 1,000 items, join", Shape: each, Stages: 1_000},
	{Name: "200 runs of 5 stages", Shape: many, Stages: 5, Runs: manyRuns},
	{Name: "1,000,000 log lines (100 MB)", Shape: lines, Stages: 1},
	{Name: "check a chain of 10,000", Shape: chain, Stages: 10_000, Check: true},
	{Name: "check a fan-out of 10,000", Shape: fan, Stages: 10_000, Check: true},
	{Name: killName, Shape: kill, Stages: killStages},
}

// times is how often a work is measured with each tool: not as often where once takes minutes.
func (w work) times(runs int) int {
	if w.Stages >= 10_000 && !w.Check {
		return 1
	}
	return runs
}

// wanted reports whether the person wants this work measured.
func (s settings) wanted(w work) bool {
	if s.quick && (w.Stages > 1_000 && !w.Check) || !s.huge && w.Stages > 10_000 {
		return false
	}
	return s.only.MatchString(w.Name)
}

// stage is one of a work, as each tool writes it in its own language.
type stage struct {
	name, command string
	needs         []string
}

// marks is the file in which the stages of a kill say that they began, where all
// tools find it, as its path is given to them.
const marks = "marks"

// stages lists the stages of one run; dir is where a stage may leave marks.
func (w work) stages(dir string) []stage {
	var all []stage
	for i := range w.Stages {
		s := stage{name: "s" + strconv.Itoa(i), command: w.command(dir, i)}
		if i > 0 && w.Shape != fan && w.Shape != each {
			s.needs = []string{all[i-1].name}
		}
		all = append(all, s)
	}
	if w.Shape == fan || w.Shape == each {
		join := stage{name: "join", command: "/bin/true"}
		for _, s := range all {
			join.needs = append(join.needs, s.name)
		}
		all = append(all, join)
	}
	return all
}

// command is what stage i does, in POSIX shell.
func (w work) command(dir string, i int) string {
	switch w.Shape {
	case lines:
		// yes is ended by a signal, which some tools take for a failure.
		return fmt.Sprintf("yes %s | head -n %d || true", strings.Repeat("x", lineLength-1), logLines)
	case kill:
		return fmt.Sprintf("echo s%d >> %s/%s", i, dir, marks)
	}
	return "/bin/true"
}

// items are those of a stage that is done once for each.
func (w work) items() []string {
	var all []string
	for i := range w.Stages {
		all = append(all, strconv.Itoa(i))
	}
	return all
}
