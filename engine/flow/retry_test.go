package flow

import (
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"
)

// What a run keeps of another one: each line is one thing that may differ.
func TestWhatARetryKeeps(t *testing.T) {
	before := func() *plan.Plan {
		return &plan.Plan{Digest: "d", Pipeline: "p", Params: map[string]any{"n": 1}, Stages: []plan.Stage{
			{Name: "a", Script: "a", Outputs: []plan.Output{{Name: "o", Type: target.File}}},
			{Name: "b", Script: "b", Needs: []plan.Need{{Stage: "a"}}, Env: []plan.Var{{Name: "N", Value: plan.Value{Expr: "${{ params.n }}"}}}},
			{Name: "c", Script: "c"},
		}}
	}
	ref := "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	ended := func() *State {
		return &State{Progress: &Progress{Run: "r", Stages: []StageProgress{
			{Name: "a", Status: target.Succeeded, Outputs: map[string]any{"o": ref}}, {Name: "b", Status: target.Succeeded}, {Name: "c", Status: target.Succeeded},
		}}}
	}
	all := func(target.Ref) bool { return true }
	for name, c := range map[string]struct {
		change func(*State, *plan.Plan)
		o      Retrying
		want   string // of a, b, c: k kept, r run
	}{
		"nothing":             {want: "kkk"},
		"one failed":          {func(s *State, _ *plan.Plan) { s.Progress.Stages[0].Status = target.Failed }, Retrying{}, "rrk"},
		"one was skipped":     {func(s *State, _ *plan.Plan) { s.Progress.Stages[1].Status = Skipped }, Retrying{}, "krk"},
		"another script":      {func(_ *State, p *plan.Plan) { p.Stages[0].Script = "x" }, Retrying{}, "rrk"},
		"another target":      {func(_ *State, p *plan.Plan) { p.Stages[0].Targets = []target.Target{{Name: "x"}} }, Retrying{}, "kkk"},
		"other code":          {func(_ *State, p *plan.Plan) { p.Stages[0].Code = "tree:x" }, Retrying{}, "kkk"},
		"another parameter":   {func(_ *State, p *plan.Plan) { p.Params["n"] = 2 }, Retrying{}, "krk"},
		"a new stage":         {func(_ *State, p *plan.Plan) { p.Stages[2].Name = "d" }, Retrying{}, "kkr"},
		"asked for":           {nil, Retrying{From: Behind(before(), "a")}, "rrk"},
		"asked for one":       {nil, Retrying{Anew: map[string]bool{"c": true}}, "kkr"},
		"an artifact is gone": {nil, Retrying{There: func(target.Ref) bool { return false }}, "rrk"},
	} {
		t.Run(name, func(t *testing.T) {
			was, now := ended(), before()
			if c.change != nil {
				c.change(was, now)
			}
			if c.o.There == nil {
				c.o.There = all
			}
			next, told := Retry(was, before(), now, c.o)
			got := ""
			for i, s := range told {
				if s.Kept != next.Progress.Stages[i].Status.Ended() || s.Why == "" {
					t.Errorf("%+v, and the stage is %+v", s, next.Progress.Stages[i])
				}
				got += map[bool]string{true: "k", false: "r"}[s.Kept]
			}
			if got != c.want {
				t.Errorf("got %s, want %s: %+v", got, c.want, told)
			}
		})
	}
}
