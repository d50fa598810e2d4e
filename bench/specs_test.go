package main

import (
	"maps"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"
)

// small works of every shape, as each tool is told of them.
var small = []work{
	{Name: "chain", Shape: chain, Stages: 3},
	{Name: "fan", Shape: fan, Stages: 2},
	{Name: "each", Shape: each, Stages: 2},
	{Name: "lines", Shape: lines, Stages: 1},
	{Name: "kill", Shape: kill, Stages: 2},
}

func TestEveryToolIsToldTheSame(t *testing.T) {
	a := &txtar.Archive{}
	for _, w := range small {
		a.Files = append(a.Files, txtar.File{Name: w.Name + "/amlflow/" + pipelineFile, Data: []byte(w.pipeline("/there"))})
		for _, p := range peers {
			if w.Shape == kill && p.resumes == nil {
				continue // it is not asked
			}
			files := p.files(w, "/there")
			for _, name := range slices.Sorted(maps.Keys(files)) {
				a.Files = append(a.Files, txtar.File{Name: w.Name + "/" + p.program + "/" + name, Data: []byte(files[name])})
			}
		}
	}
	golden(t, "specs.txtar", string(txtar.Format(a)))
}

func TestWorksHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range works {
		if seen[w.Name] {
			t.Errorf("two works are called %q: their figures could not be told apart", w.Name)
		}
		seen[w.Name] = true
	}
}

func TestWanted(t *testing.T) {
	for _, c := range []struct {
		args  []string
		count int
	}{
		{nil, 15},
		{[]string{"--huge"}, 17},
		{[]string{"--quick"}, 13},
		{[]string{"--only", "chain of 1"}, 4},
		{[]string{"--only", "^one stage,"}, 3},
	} {
		s, err := parse(c.args)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range works {
			if s.wanted(w) {
				n++
			}
		}
		if n != c.count {
			t.Errorf("%q wants %d works, not %d", c.args, n, c.count)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{{"--runs", "0"}, {"--only", "("}, {"--tools", "("}, {"quick"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
