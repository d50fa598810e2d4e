package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// Options is what a person decides besides the files.
type Options struct {
	Profile string
	Params  map[string]any           // given values; text is read as the parameter's type
	Targets map[string]string        // stage name to target name; "" stands for every stage
	Drivers map[string]target.Driver // by kind
	Files   fs.FS                    // the pipeline's folder
	Code    map[string]target.Ref    // names of code folders, by the folder as a stage writes it; "" is the pipeline's own
}

// compiler turns one pipeline into a plan, and keeps every mistake on the way.
type compiler struct {
	p        *schema.Pipeline
	w        *schema.Workspace
	o        Options
	profile  schema.Profile
	params   map[string]any
	findings diag.Findings
}

// Compile decides everything that can be decided before a run. p and w must have
// passed schema.Check; the findings are those that need parameters, targets and
// drivers to be seen. The plan is nil when there is an error among them.
func Compile(p *schema.Pipeline, w *schema.Workspace, o Options) (*Plan, diag.Findings) {
	c := &compiler{p: p, w: w, o: o}
	c.chooseProfile()
	c.bindParams()
	if c.findings.Bad() {
		return nil, c.findings.Sort()
	}
	c.checkOverrides()
	out := &Plan{Version: Version, Pipeline: p.Name, Workspace: w.Name, Profile: o.Profile, Params: c.params}
	for _, s := range inOrder(c.stages(p.Stages, false)) {
		out.Stages = append(out.Stages, *s)
	}
	for _, s := range inOrder(c.stages(p.Finally, true)) {
		out.Stages = append(out.Stages, *s)
	}
	scope := p.Scope(nil)
	for _, n := range p.Outputs {
		at := "/outputs/" + pointer(n.Name)
		out.Outputs = append(out.Outputs, Var{Name: n.Name, Value: c.value(scope, at, n.Text).Value})
	}
	if c.findings.Bad() {
		return nil, c.findings.Sort()
	}
	sum := sha256.Sum256(out.JSON())
	out.Digest = "sha256:" + hex.EncodeToString(sum[:])
	return out, c.findings.Sort()
}

func (c *compiler) stages(ss []schema.Stage, finally bool) []*Stage {
	out := make([]*Stage, len(ss))
	for i := range ss {
		out[i] = c.stage(&ss[i], finally)
	}
	return out
}

// inOrder sorts stages so that each comes after what it needs, and otherwise as
// they are written. Cycles have been refused before.
func inOrder(ss []*Stage) []*Stage {
	index := map[string]int{}
	for i, s := range ss {
		index[s.Name] = i
	}
	waits, users := make([]int, len(ss)), make([][]int, len(ss))
	for i, s := range ss {
		for _, n := range s.Needs {
			if j, ok := index[n.Stage]; ok {
				waits[i]++
				users[j] = append(users[j], i)
			}
		}
	}
	var ready intHeap
	for i := range ss {
		if waits[i] == 0 {
			ready.push(i)
		}
	}
	out := make([]*Stage, 0, len(ss))
	for len(ready) > 0 {
		i := ready.pop()
		out = append(out, ss[i])
		for _, u := range users[i] {
			if waits[u]--; waits[u] == 0 {
				ready.push(u)
			}
		}
	}
	return out
}

func (c *compiler) find(f diag.Finding) {
	if f.Severity == "" {
		f.Severity = diag.Error
	}
	c.findings = append(c.findings, f)
}
