package stretch

import (
	"slices"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// A run has come from state 1 over 2 to 3. Whoever begins late from an earlier one must
// not remove what the run goes on from.
func TestAStretchThatComesLateForgetsNothingThatIsNeeded(t *testing.T) {
	state := func(n string) target.Ref { return target.Ref("sha256:" + n) }
	at := func(from, begin target.Ref) flow.StretchInput {
		return flow.StretchInput{From: flow.Snapshot{Ref: from}, Input: flow.Input{Begin: flow.Snapshot{Ref: begin}}}
	}
	for name, c := range map[string]struct {
		state *flow.State
		in    flow.StretchInput
		want  []target.Ref
	}{
		"the first":                        {nil, at("", ""), nil},
		"from 1":                           {&flow.State{}, at(state("1"), ""), nil},
		"from 3":                           {&flow.State{Before: state("2")}, at(state("3"), ""), []target.Ref{state("2")}},
		"late, from 2":                     {&flow.State{Before: state("1")}, at(state("2"), ""), []target.Ref{state("1")}},
		"from what another run gave it":    {&flow.State{Before: state("1")}, at(state("2"), state("1")), nil},
		"nothing has changed in a stretch": {&flow.State{Before: state("2")}, at(state("2"), ""), nil},
		"with an excerpt":                  {&flow.State{Before: state("2"), ExcerptBefore: "x2"}, flow.StretchInput{From: flow.Snapshot{Ref: state("3"), Excerpt: "x3"}}, []target.Ref{state("2"), "x2"}},
		"with the same excerpt":            {&flow.State{Before: state("2"), ExcerptBefore: "x"}, flow.StretchInput{From: flow.Snapshot{Ref: state("3"), Excerpt: "x"}}, []target.Ref{state("2")}},
	} {
		if got := passed(c.state, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: it forgets %q, want %q", name, got, c.want)
		}
	}
}
