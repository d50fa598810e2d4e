package engine

import (
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
)

func TestWhoseATurnIs(t *testing.T) {
	own, stage := flow.Claim{Workflow: "amlflow-me", Key: "a"}, flow.Claim{Workflow: "amlflow-me", Key: "b"}
	one, two := flow.Claim{Workflow: "amlflow-one", Key: "a"}, flow.Claim{Workflow: "amlflow-two", Key: "a"}
	for what, c := range map[string]struct {
		turns, waiting []flow.Claim
		want           string
	}{
		"nobody has it":                {nil, nil, ""},
		"it has just been given":       {[]flow.Claim{own}, []flow.Claim{one}, ""},
		"another run has it":           {[]flow.Claim{one}, []flow.Claim{own}, "waits; now it is that of run one"},
		"others come before":           {[]flow.Claim{one}, []flow.Claim{two, own}, "waits; now it is that of run one, and 1 more come first"},
		"two have one":                 {[]flow.Claim{one, two}, []flow.Claim{own}, "waits; now it is that of run one and run two"},
		"another stage has it":         {[]flow.Claim{stage}, []flow.Claim{own}, "waits; now it is that of another stage of this run"},
		"two stages of a run have one": {[]flow.Claim{one, {Workflow: "amlflow-one", Key: "b"}}, []flow.Claim{own}, "waits; now it is that of run one"},
	} {
		if got := whose("waits", flow.GroupState{Turns: c.turns, Waiting: c.waiting}, "me"); got != c.want {
			t.Errorf("%s: %q and not %q", what, got, c.want)
		}
	}
}
