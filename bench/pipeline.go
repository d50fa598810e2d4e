package main

import (
	"fmt"
	"strings"
)

// pipeline is the work as a pipeline of amlflow.
func (w work) pipeline(dir string) string {
	var b strings.Builder
	b.WriteString("amlflow: v1\npipeline: work\nstages:\n")
	if w.Shape == each {
		fmt.Fprintf(&b, "  s: { each: [%s], run: /bin/true }\n  join: { needs: [s], run: /bin/true }\n", strings.Join(w.items(), ", "))
		return b.String()
	}
	for _, s := range w.stages(dir) {
		needs := ""
		if len(s.needs) > 0 {
			needs = "needs: [" + strings.Join(s.needs, ", ") + "], "
		}
		fmt.Fprintf(&b, "  %s: { %srun: %q }\n", s.name, needs, s.command)
	}
	return b.String()
}
