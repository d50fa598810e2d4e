package flow_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

// What an excerpt has and what it counts is the whole run, whatever that is made of; what
// it has is in the order of the run, and what is remarkable comes first.
func TestAnExcerptCountsWhatItLeavesOut(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := someRun(r, 3)
		before := counted(p, map[target.State]int{})
		most := r.IntN(30)
		x := flow.NewExcerpt(p, most)
		if got := counted(x.Progress, maps.Clone(x.Others)); !cmp.Equal(got, before) {
			t.Fatalf("seed %d: %v of %v", seed, got, before)
		}
		if after := counted(p, map[target.State]int{}); !cmp.Equal(after, before) {
			t.Fatalf("seed %d: the run itself was changed", seed)
		}
		last, plain, left := -1, 0, 0
		for i := range x.Progress.Stages {
			s := &x.Progress.Stages[i]
			at := indexOf(p, s.Name)
			if at <= last {
				t.Fatalf("seed %d: %s comes after %d", seed, s.Name, last)
			}
			last = at
			if n := counted(&flow.Progress{Stages: []flow.StageProgress{p.Stages[at]}}, map[target.State]int{}); n[target.Running]+n[target.Failed] == 0 {
				plain++
			}
		}
		for i := range p.Stages {
			if p.Stages[i].Remarkable() && x.Progress.Stage(p.Stages[i].Name) == nil {
				left++
			}
		}
		if plain > 0 && left > 0 {
			t.Fatalf("seed %d: %d remarkable stages were left out for %d others", seed, left, plain)
		}
		if len(x.Progress.Stages) > most {
			t.Fatalf("seed %d: %d stages, want at most %d", seed, len(x.Progress.Stages), most)
		}
	}
}

// A stage that was left out, since it waited, is heard of when it begins.
func TestAnExcerptHearsOfStagesThatItLeftOut(t *testing.T) {
	p := &flow.Progress{}
	for i := range 10 {
		p.Stages = append(p.Stages, flow.StageProgress{Name: fmt.Sprint("s", i), Status: target.Waiting})
	}
	x := flow.NewExcerpt(p, 2)
	for _, name := range []string{"s1", "s7", "s7", "s8/inner", "s9[3]"} {
		x.Hear(name, flow.StageProgress{Name: "s" + name[1:2], Status: target.Running})
	}
	if got := fmt.Sprint(counted(x.Progress, maps.Clone(x.Others))); got != "map[running:2 waiting:8]" || len(x.Progress.Stages) != 3 {
		t.Errorf("%s, of them %d shown", got, len(x.Progress.Stages))
	}
}

func someRun(r *rand.Rand, depth int) *flow.Progress {
	states := []target.State{target.Succeeded, target.Succeeded, target.Waiting, target.Running, target.Failed, flow.Skipped}
	p := &flow.Progress{}
	for i := range r.IntN(40) {
		s := flow.StageProgress{Name: fmt.Sprint("s", i), Status: states[r.IntN(len(states))]}
		for j := range r.IntN(3) {
			s.Items = append(s.Items, flow.StageProgress{Name: fmt.Sprintf("s%d[%d]", i, j), Status: states[r.IntN(len(states))]})
		}
		if depth > 0 && r.IntN(10) == 0 {
			s.Nested = someRun(r, depth-1)
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

// counted adds the stages of a run, those within and items included, by state.
func counted(p *flow.Progress, n map[target.State]int) map[target.State]int {
	for i := range p.Stages {
		s := &p.Stages[i]
		n[s.Status]++
		for j := range s.Items {
			n[s.Items[j].Status]++
		}
		if s.Nested != nil {
			counted(s.Nested, n)
		}
	}
	return n
}

func indexOf(p *flow.Progress, name string) int {
	for i := range p.Stages {
		if p.Stages[i].Name == name {
			return i
		}
	}
	return -1
}
