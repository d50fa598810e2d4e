package plan

import (
	"fmt"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// unheld warns of limits that nobody holds the stage to. They may still be of use, to
// people and to other targets of the stage.
func (b *staging) unheld(t target.Target, can target.Can, asks target.Resources) {
	for _, limit := range []struct {
		key  string
		asks bool
		hold target.Hold
	}{{"cpus", asks.CPUs > 0, can.CPUs}, {"memory", asks.Memory > 0, can.Memory}} {
		if !limit.asks || limit.hold != target.HoldNever {
			continue
		}
		l := b.says("resources/" + limit.key)
		at := l.s.At("resources/" + limit.key)
		b.find(diag.Finding{Pos: l.p.Source.At(at), Path: at, Width: l.p.Source.Width(at), Severity: diag.Warning, Code: "limit-not-held",
			Message: fmt.Sprintf("stage %q may use more than the `%s` that it asks for: target %q of kind %q holds no job to it", b.out.Name, limit.key, t.Name, t.Kind),
			Hint:    "see to it in the stage itself, or name a target that holds jobs to their limits"})
	}
}
