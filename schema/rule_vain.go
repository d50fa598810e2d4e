package schema

import (
	"fmt"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

// vain advises about what is written and never used. With other mistakes in the file
// it says nothing of what they may be the reason for.
func (c *checker) vain() {
	c.vainInDeploy()
	c.vainBindings()
	if c.p.broken || c.findings.Bad() {
		return
	}
	for _, p := range c.p.Params {
		if !c.allUsed && !c.used[p.Name] {
			c.advise("unused-param", p.Path, fmt.Sprintf("use it as ${{ params.%s }}, or remove it", p.Name), "no stage uses parameter %q", p.Name)
		}
	}
	c.vainOutputs()
	c.neverRun()
}

func (c *checker) vainInDeploy() {
	cures := map[string]string{"outputs": "make outputs in a `run` stage", "metrics": "report metrics from a `run` stage", "inputs": "give the model with `deploy.model`"}
	for _, s := range c.stages() {
		if s.Deploy == nil {
			continue
		}
		for _, key := range []string{"inputs", "outputs", "metrics"} {
			if len(c.p.Source.Keys(s.Path+"/"+key)) > 0 {
				c.advise("no-effect", s.Path+"/"+key, cures[key], "a stage that deploys has no %s", key)
			}
		}
	}
}

// reads are the results that expressions read.
type reads struct {
	all     bool
	outputs map[output]bool
}

// output is one of a stage; the name "" is all of them.
type output struct{ stage, name string }

func (c *checker) readResult(p place, ref expr.Ref) {
	path := ref.Path
	switch {
	case path[0] == "outputs" && p.own:
		c.readOutput(p.stage.Name, path[1:])
	case path[0] != "stages":
	case len(path) == 1:
		c.read.all = true
	case len(path) == 2:
		c.readOutput(path[1], nil)
	case path[2] == "outputs":
		c.readOutput(path[1], path[3:])
	}
}

func (c *checker) readOutput(stage string, path []string) {
	if c.read.outputs == nil {
		c.read.outputs = map[output]bool{}
	}
	name := ""
	if len(path) > 0 {
		name = path[0]
	}
	c.read.outputs[output{stage, name}] = true
}

// vainOutputs advises about values that nothing reads. Artifacts are kept for people
// too; a value is only there to be used.
func (c *checker) vainOutputs() {
	if c.read.all || c.p.alone {
		return
	}
	for _, s := range c.stages() {
		for _, out := range s.Outputs {
			if out.Type.IsArtifact() || c.read.outputs[output{s.Name, ""}] || c.read.outputs[output{s.Name, out.Name}] || s.Deploy != nil || !c.few() {
				continue
			}
			c.advise("unused-output", join(s.Path, "outputs", out.Name), fmt.Sprintf("read it as ${{ stages.%s.outputs.%s }}, give it in `outputs` of the pipeline, or remove it", s.Name, out.Name),
				"nothing reads the value %q of stage %q", out.Name, s.Name)
		}
	}
}

// vainBindings advises about a profile that binds a name which looks like a slip
// for one that a stage says.
func (c *checker) vainBindings() {
	if c.w.Source == nil {
		return
	}
	said := map[string]bool{}
	var names []string
	for _, s := range c.stages() {
		for _, name := range s.Target {
			if !said[name] {
				said[name], names = true, append(names, name)
			}
		}
	}
	targets := map[string]bool{}
	for _, t := range c.w.Targets {
		targets[t.Name] = true
	}
	for _, profile := range c.w.Profiles {
		for name := range profile.Targets {
			if !said[name] && !targets[name] && c.few() {
				c.vainBinding(profile, name, names)
			}
		}
	}
}

func (c *checker) vainBinding(profile Profile, name string, said []string) {
	var candidates []string
	for _, other := range said {
		if profile.Targets[other] == "" {
			candidates = append(candidates, other)
		}
	}
	near := c.nearest.name(name, candidates)
	if near == "" {
		return
	}
	at := join(profile.Path+"/targets", name)
	c.find(diag.Finding{Pos: c.w.Source.KeyAt(at), Width: c.w.Source.KeyWidth(at), Severity: diag.Warning, Code: "unknown-target", Path: at,
		Message: fmt.Sprintf("no stage of pipeline %q names the target %q, which profile %q binds", c.p.Name, name, profile.Name), Hint: fmt.Sprintf("did you mean %q?", near)})
}
