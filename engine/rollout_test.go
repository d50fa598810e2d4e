package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"
)

// traffic shows what was decided about the endpoints of a run, and what was stopped.
func traffic(t *testing.T, d *dummy.Driver) string {
	t.Helper()
	all, err := d.Endpoints(t.Context(), target.Target{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range all {
		changes, err := d.Changes(t.Context(), target.Target{}, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			fmt.Fprintf(&b, "endpoint %s: %s\n", e.Name, decided(c))
		}
		fmt.Fprintf(&b, "endpoint %s stopped %v\n", e.Name, d.Stopped(e.Name))
	}
	return b.String()
}

func decided(c target.Change) string {
	s := c.Split
	if s == nil {
		return strings.TrimSpace(c.What + " " + c.Deployment)
	}
	text := s.ID
	for _, x := range s.Shares {
		text += fmt.Sprintf(" %s=%v", x.Deployment, x.Weight)
	}
	if s.Mirror != "" {
		text += fmt.Sprintf(" mirror %s=%v", s.Mirror, s.MirrorPercent)
	}
	if len(s.Keep) > 0 {
		text += fmt.Sprintf(" keep %v", s.Keep)
	}
	if s.Sticky != "" {
		text += " sticky " + s.Sticky
	}
	return text + " because " + s.Why
}
