package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// checkOverrides refuses --target and --no-cache for a stage that does not exist.
func (c *compiler) checkOverrides() {
	var known []string
	for _, s := range append(slices.Clone(c.p.Stages), c.p.Finally...) {
		known = append(known, s.Name)
	}
	refuse := func(flag, stage string) {
		c.find(diag.Finding{Pos: c.p.Source.KeyAt("/stages"), Path: "/stages", Code: "unknown-stage",
			Message: fmt.Sprintf("%s names the stage %q, which pipeline %q does not have", flag, stage, c.p.Name), Hint: nearest(stage, known, "stages")})
	}
	for _, stage := range slices.Sorted(maps.Keys(c.o.Targets)) {
		if stage != "" && !slices.Contains(known, stage) {
			refuse("--target", stage)
		}
	}
	for _, stage := range slices.Sorted(maps.Keys(c.o.NoCache)) {
		// Of a stage of a pipeline inside of this one only the outer name is known here.
		if outer, _, _ := strings.Cut(stage, "/"); outer != "" && !slices.Contains(known, outer) {
			refuse("--no-cache", stage)
		}
	}
}

// targets finds the places where a stage may run: what was given for it on the
// command line, else what the file says, as the profile binds it.
func (b *staging) targets(l *layer, p Place) []target.Target {
	names, at := l.s.Target, l.s.At("target")
	if len(names) == 0 {
		names = []string{"local"} // what a pipeline without places means everywhere
	}
	name, given := b.override(b.out.Name)
	if given {
		names = []string{name}
	}
	if l.s.AnyOf && !given {
		at += "/any_of"
	}
	out, costs := make([]target.Target, 0, len(names)), make([]float64, 0, len(names))
	for i, text := range names {
		path := at
		if v, _ := l.p.Source.Value(at); !given && isList(v) {
			path = fmt.Sprintf("%s/%d", at, i)
		}
		name, ok := b.now(l, path, text)
		if !ok {
			continue
		}
		if bound, ok := b.profile.Targets[name]; ok {
			name = bound
		}
		if t, cost, ok := b.target(l, path, name); ok {
			b.capable(l, path, t, p)
			out, costs = append(out, t), append(costs, cost)
		}
	}
	if l.s.AnyOf && l.s.Prefer != "first" {
		sort.Stable(byCost{out, costs})
	}
	return out
}

// byCost sorts targets by what a node of them costs.
type byCost struct {
	targets []target.Target
	costs   []float64
}

func (b byCost) Len() int           { return len(b.targets) }
func (b byCost) Less(i, j int) bool { return b.costs[i] < b.costs[j] }
func (b byCost) Swap(i, j int) {
	b.targets[i], b.targets[j] = b.targets[j], b.targets[i]
	b.costs[i], b.costs[j] = b.costs[j], b.costs[i]
}

func isList(v any) bool { _, ok := v.([]any); return ok }

func (c *compiler) override(stage string) (string, bool) {
	if name, ok := c.o.Targets[c.prefix+stage]; ok {
		return name, true
	}
	name, ok := c.o.Targets[""]
	return name, ok
}

func (c *compiler) target(l *layer, path, name string) (found target.Target, cost float64, ok bool) {
	for _, t := range c.w.Targets {
		if t.Name == name {
			return target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings}, t.Cost, c.known(t)
		}
	}
	var known []string
	for _, t := range c.w.Targets {
		known = append(known, t.Name)
	}
	s := l.p.Source
	c.find(diag.Finding{Pos: s.At(path), Path: path, Width: s.Width(path), Code: "unknown-target",
		Message: fmt.Sprintf("no target named %q in %s", name, c.workspaceName()), Hint: nearest(name, known, "targets")})
	return target.Target{}, 0, false
}

// known refuses a target of a kind that this program has no driver for, and
// settings that the kind does not have.
func (c *compiler) known(t schema.Target) bool {
	if ok, seen := c.checked[t.Name]; seen {
		return ok
	}
	bad := CheckTarget(c.w, t, c.o.Drivers)
	c.findings = append(c.findings, bad...)
	c.checked[t.Name] = !bad.Bad()
	return !bad.Bad()
}

// CheckTarget holds one target of a workspace against the drivers, by kind, that
// this program has.
func CheckTarget(w *schema.Workspace, t schema.Target, drivers map[string]target.Driver) diag.Findings {
	if d, ok := drivers[t.Kind]; ok {
		bad := w.CheckSettings(t, d.Kind().Settings)
		if j, ok := d.(target.Judge); ok && len(bad) == 0 && w.Source != nil {
			bad = judged(w, t, j.Judge(target.Target{Name: t.Name, Kind: t.Kind, Settings: t.Settings}))
		}
		return bad
	}
	if w.Source == nil {
		return nil
	}
	at := t.Path + "/kind"
	return diag.Findings{{Pos: w.Source.At(at), Path: at, Width: len(t.Kind), Severity: diag.Error, Code: "unknown-kind",
		Message: fmt.Sprintf("target %q is of kind %q, which this version has no driver for", t.Name, t.Kind),
		Hint:    nearest(t.Kind, slices.Collect(maps.Keys(drivers)), "kinds")}}
}

// judged says where a setting is that does not fit the others.
func judged(w *schema.Workspace, t schema.Target, err error) diag.Findings {
	var wrong target.Misfit
	if !errors.As(err, &wrong) {
		return nil // whoever uses the target says so
	}
	at := t.Path + "/" + wrong.Path
	return diag.Findings{{Pos: w.Source.At(at), Path: at, Width: w.Source.Width(at), Severity: diag.Error, Code: "wrong-value",
		Message: fmt.Sprintf("target %q: %s", t.Name, wrong.What), Hint: wrong.Cure}}
}

// capable refuses a stage that asks for more than the target offers. Every target
// that the stage may run on must be able to.
func (b *staging) capable(l *layer, path string, t target.Target, p Place) {
	can := b.o.Drivers[t.Kind].Can(t)
	lacks := func(l *layer, at, what, cure string) {
		s := l.p.Source
		b.find(diag.Finding{Pos: s.At(at), Path: at, Width: s.Width(at), Code: "target-cannot",
			Message: fmt.Sprintf("stage %q %s, which target %q of kind %q cannot give", b.out.Name, what, t.Name, t.Kind), Hint: cure})
	}
	if n := p.Asks.Nodes; n > max(can.Nodes, 1) {
		at := b.says("resources/nodes")
		lacks(at, at.s.At("resources/nodes"), fmt.Sprintf("asks for %d nodes", n),
			fmt.Sprintf("it has %d; name a target with more, or set `nodes: %d` on it in the workspace", max(can.Nodes, 1), n))
	}
	if p.Asks.GPUs > 0 && !can.GPU {
		at := b.says("resources/gpus")
		lacks(at, at.s.At("resources/gpus"), "asks for GPUs", b.gpuCure(t))
	}
	if f, ok := b.o.Drivers[t.Kind].(target.Fitter); ok {
		var wrong target.Misfit
		if errors.As(f.Fits(t, p.Asks), &wrong) && (wrong.Path != "gpus" || can.GPU) {
			at := b.says("resources/" + wrong.Path)
			s, where := at.p.Source, at.s.At("resources/"+wrong.Path)
			b.find(diag.Finding{Pos: s.At(where), Path: where, Width: s.Width(where), Code: "target-cannot",
				Message: fmt.Sprintf("stage %q asks for what target %q of kind %q cannot give: %s", b.out.Name, t.Name, t.Kind, wrong.What), Hint: wrong.Cure})
		}
	}
	if p.Image != "" && !can.Images {
		at := b.says("environment")
		lacks(at, at.s.At("environment")+"/image", "asks for a container image", "name a target that runs containers, or use `environment: { python: … }`")
	}
	if b.out.Runtime != nil && b.out.Runtime.Python != nil && !can.Python {
		at := b.says("environment")
		lacks(at, at.s.At("environment")+"/python", "asks for a Python environment", "name a target that makes them, or an image that has what the stage needs")
	}
	if b.out.Deploy != nil && b.out.Runtime != nil && b.out.Runtime.Python != nil && can.Python && can.Unequipped != "" {
		at := b.says("environment")
		lacks(at, at.s.At("environment")+"/python", "deploys with a Python environment", can.Unequipped)
	}
	if b.out.Checkpoint != nil && !can.Checkpoints {
		at := b.says("checkpoint")
		lacks(at, at.s.At("checkpoint"), "has checkpoints", "name a target that keeps them, or leave `checkpoint` out")
	}
	if p.Launch != nil && !can.Launch {
		at := b.says("launch")
		lacks(at, at.s.At("launch"), "launches several processes", "name a target that launches, or leave `launch` out and begin the processes in the script")
	}
	b.unheld(t, can, p.Asks)
	b.routes(t, can)
	if b.out.Deploy != nil && !can.Serve {
		lacks(l, path, "deploys a model", cmp.Or(can.Unserved, "name a target that serves, for example one of kind "+b.serving()))
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

func sortedKinds(drivers map[string]target.Driver) []string {
	return slices.Sorted(maps.Keys(drivers))
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

// gpuCure says what to do about a target that lends no GPUs.
func (b *staging) gpuCure(t target.Target) string {
	if t.Kind == "local" || t.Kind == "docker" || t.Kind == "ssh" {
		return fmt.Sprintf("name a target that has them, or set `gpus: N` on %q in the workspace", t.Name)
	}
	return "name a target that has them"
}
