package plan_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
)

func TestUptoKeepsWhatAStageNeeds(t *testing.T) {
	need := func(names ...string) (all []plan.Need) {
		for _, n := range names {
			all = append(all, plan.Need{Stage: n})
		}
		return all
	}
	p := &plan.Plan{Digest: "old", Outputs: []plan.Var{{Name: "x"}}, Stages: []plan.Stage{
		{Name: "a"}, {Name: "b", Needs: need("a")}, {Name: "other", Needs: need("a")}, {Name: "c", Needs: need("b")}, {Name: "d", Needs: need("c", "other")}, {Name: "last", Finally: true},
	}}
	names := func(p *plan.Plan) string {
		if p == nil {
			return "nothing"
		}
		if len(p.Outputs) > 0 || p.Digest == "old" || !strings.HasPrefix(p.Digest, "sha256:") {
			t.Errorf("outputs %v, digest %q", p.Outputs, p.Digest)
		}
		var all []string
		for _, s := range p.Stages {
			all = append(all, s.Name)
		}
		return strings.Join(all, " ")
	}
	for stage, want := range map[string][2]string{"a": {"a", "nothing"}, "c": {"a b c", "a b"}, "d": {"a b other c d", "a b other c"}, "none": {"nothing", "nothing"}} {
		if got := [2]string{names(p.Upto(stage)), names(p.Before(stage))}; got != want {
			t.Errorf("%s: got %q, want %q", stage, got, want)
		}
	}
	if len(p.Stages) != 6 || p.Digest != "old" {
		t.Error("the plan itself was changed")
	}
}
