package plan

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// checkOverrides refuses --target for a stage that does not exist.
func (c *compiler) checkOverrides() {
	var known []string
	for _, s := range append(slices.Clone(c.p.Stages), c.p.Finally...) {
		known = append(known, s.Name)
	}
	for _, stage := range slices.Sorted(maps.Keys(c.o.Targets)) {
		if stage != "" && !slices.Contains(known, stage) {
			c.find(diag.Finding{Pos: c.p.Source.KeyAt("/stages"), Path: "/stages", Code: "unknown-stage",
				Message: fmt.Sprintf("--target names the stage %q, which pipeline %q does not have", stage, c.p.Name), Hint: nearest(stage, known, "stages")})
		}
	}
}

// targets finds the places where a stage may run: what was given for it on the
// command line, else what the file says, as the profile binds it.
func (c *compiler) targets(s *schema.Stage, st *Stage) {
	names, at := s.Target, s.Path+"/target"
	if len(names) == 0 {
		names = []string{"local"} // what a pipeline without places means everywhere
	}
	if name, ok := c.override(s.Name); ok {
		names = []string{name}
	}
	for i, text := range names {
		path := at
		if len(s.Target) > 1 && len(names) > 1 {
			path = fmt.Sprintf("%s/%d", at, i)
		}
		name, ok := c.now(path, text)
		if !ok {
			continue
		}
		if bound, ok := c.profile.Targets[name]; ok {
			name = bound
		}
		if t, ok := c.target(path, name); ok {
			c.capable(path, t, st)
			st.Targets = append(st.Targets, t)
		}
	}
}

func (c *compiler) override(stage string) (string, bool) {
	if name, ok := c.o.Targets[stage]; ok {
		return name, true
	}
	name, ok := c.o.Targets[""]
	return name, ok
}

func (c *compiler) target(path, name string) (target.Target, bool) {
	var known []string
	for _, t := range c.w.Targets {
		if t.Name == name {
			return target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings}, c.known(t)
		}
		known = append(known, t.Name)
	}
	c.find(diag.Finding{Pos: c.p.Source.At(path), Path: path, Width: len(name), Code: "unknown-target",
		Message: fmt.Sprintf("no target named %q in %s", name, c.workspaceName()), Hint: nearest(name, known, "targets")})
	return target.Target{}, false
}

// known refuses a target of a kind that this program has no driver for, and
// settings that the kind does not have.
func (c *compiler) known(t schema.Target) bool {
	bad := CheckTarget(c.w, t, c.o.Drivers)
	c.findings = append(c.findings, bad...)
	return !bad.Bad()
}

// CheckTarget holds one target of a workspace against the drivers, by kind, that
// this program has.
func CheckTarget(w *schema.Workspace, t schema.Target, drivers map[string]target.Driver) diag.Findings {
	if d, ok := drivers[t.Kind]; ok {
		return w.CheckSettings(t, d.Kind().Settings)
	}
	if w.Source == nil {
		return nil
	}
	at := t.Path + "/kind"
	return diag.Findings{{Pos: w.Source.At(at), Path: at, Width: len(t.Kind), Severity: diag.Error, Code: "unknown-kind",
		Message: fmt.Sprintf("target %q is of kind %q, which this version has no driver for", t.Name, t.Kind),
		Hint:    nearest(t.Kind, slices.Collect(maps.Keys(drivers)), "kinds")}}
}

// capable refuses a stage that asks for more than the target offers.
func (c *compiler) capable(path string, t target.Target, s *Stage) {
	can := c.o.Drivers[t.Kind].Can(t)
	lacks := func(at, what, cure string) {
		c.find(diag.Finding{Pos: c.p.Source.At(at), Path: at, Code: "target-cannot",
			Message: fmt.Sprintf("stage %q %s, which target %q of kind %q cannot give", s.Name, what, t.Name, t.Kind), Hint: cure})
	}
	stage := strings.TrimSuffix(path, "/target")
	if i := strings.Index(path, "/target/"); i >= 0 {
		stage = path[:i]
	}
	if n := s.Asks.Nodes; n > max(can.Nodes, 1) {
		lacks(stage+"/resources/nodes", fmt.Sprintf("asks for %d nodes", n),
			fmt.Sprintf("it has %d; name a target with more, or set `nodes: %d` on it in the workspace", max(can.Nodes, 1), n))
	}
	if s.Asks.GPUs > 0 && !can.GPU {
		lacks(stage+"/resources/gpus", "asks for GPUs", "name a target that has them")
	}
	if s.Deploy != nil && !can.Serve {
		lacks(path, "deploys a model", "name a target that serves, for example one of kind "+c.serving())
	}
}

func (c *compiler) serving() string {
	var kinds []string
	for k, d := range c.o.Drivers {
		if d.Can(target.Target{Kind: k}).Serve {
			kinds = append(kinds, k)
		}
	}
	sort.Strings(kinds)
	return strings.Join(kinds, ", ")
}

func (c *compiler) workspaceName() string {
	if c.w.Source == nil {
		return "the default workspace (there is no amlflow.yaml)"
	}
	return fmt.Sprintf("workspace %q", c.w.Name)
}

// inWorkspace is a place in the workspace's file or, without one, in the pipeline.
func (c *compiler) inWorkspace(path string) diag.Pos {
	if c.w.Source == nil {
		return c.p.Source.At("")
	}
	return c.w.Source.At(path)
}

func nearest(name string, known []string, what string) string {
	if n := diag.Nearest(name, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(known) == 0 {
		return "there are no " + what
	}
	known = slices.Clone(known)
	sort.Strings(known)
	if len(known) > 8 {
		known = append(known[:8], "…")
	}
	return fmt.Sprintf("the %s are: %s", what, strings.Join(known, ", "))
}

func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
