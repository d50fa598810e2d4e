package stretch

import (
	"context"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
)

// A turn that the run has is nothing to put on record. A stretch that ended for it would
// cut off what is done in that turn, such as the delivery of a large model, and so would
// the next one, for ever.
func TestATurnThatIsHeldEndsNoStretch(t *testing.T) {
	in := flow.StretchInput{Input: flow.Input{Run: "r1", Plan: plan.Plan{Version: plan.Version}}}
	s := &stretch{in: in, loom: newLoom(Wall{}), turns: map[string]bool{"serve:endpoint": true}, wishes: map[string]flow.Wish{}, fresh: changes{}}
	th := thread{context.Background(), s, flow.NewInterpreter(in.Input, nil, nil, Wall{}.Now())}
	s.loom.mu.Lock()
	defer s.loom.mu.Unlock()
	giveBack, err := th.Turn(&plan.Group{Name: "g", Limit: 1}, "serve:endpoint")
	if err != nil {
		t.Fatal(err)
	}
	if _, wished := s.wishes["serve:endpoint"]; !wished || !s.first.IsZero() {
		t.Errorf("it is wished for: %v; it is to be put on record since %v", wished, s.first)
	}
	giveBack()
	if len(s.wishes) > 0 || s.first.IsZero() {
		t.Error("that it was given back is not put on record")
	}
}
