package main

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
)

// pinned says which models of the registry a plan holds, by their content, and which of
// them run code when they are loaded.
func pinned(pl *plan.Plan) []string {
	var out []string
	tell := func(stage, as string, m *plan.Model) {
		out = append(out, fmt.Sprintf("%s: %s is %s: %s", stage, as, m, m.Artifact))
		if len(m.Risks) > 0 {
			out = append(out, fmt.Sprintf("%s: warning: %s@%d runs code when it is loaded: %s", stage, m.Name, m.Version, strings.Join(m.Risks, ", ")))
		}
	}
	for i := range pl.Stages {
		s := &pl.Stages[i]
		for _, in := range s.Inputs {
			if in.Model != nil {
				tell(s.Name, "the input "+in.Name, in.Model)
			}
		}
		if s.Deploy != nil && s.Deploy.Named != nil {
			tell(s.Name, "the model", s.Deploy.Named)
		}
		if s.Nested != nil {
			for _, line := range pinned(s.Nested.Plan) {
				out = append(out, s.Name+"/"+line)
			}
		}
	}
	return out
}
