package plan

import (
	"slices"

	"github.com/amlflow/amlflow/schema/expr"
)

// needs gathers what a stage waits for, in the order of first mention.
type needs struct {
	stage string
	order []string        // by `needs`
	refs  []string        // by reference
	data  map[string]bool // referenced without a default
}

func (n *needs) read(refs []expr.Ref) {
	for _, r := range refs {
		if len(r.Path) < 2 || r.Path[0] != "stages" {
			continue
		}
		name := r.Path[1]
		if !n.data[name] && !slices.Contains(n.refs, name) {
			n.refs = append(n.refs, name)
		}
		if n.data == nil {
			n.data = map[string]bool{}
		}
		// A status exists whatever became of the stage; a result may not.
		if len(r.Path) > 2 && r.Path[2] != "status" && !r.Defaulted {
			n.data[name] = true
		}
	}
}

func (n *needs) list() []Need {
	var out []Need
	seen := map[string]bool{}
	for _, names := range [][]string{n.order, n.refs} {
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				out = append(out, Need{Stage: name, Data: n.data[name]})
			}
		}
	}
	return out
}
