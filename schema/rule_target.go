package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// targets checks the names that stages give: the workspace has them, or a profile
// binds them.
func (c *checker) targets() {
	if c.w.Source != nil {
		if said, _ := c.w.Source.Value("/targets"); said != nil && asMap(said) == nil {
			return // no name can be known then
		}
	}
	known := c.targetNames()
	bound := slices.Clone(known)
	for _, profile := range c.w.Profiles {
		for name := range profile.Targets {
			bound = append(bound, name)
		}
	}
	slices.Sort(bound)
	bound = slices.Compact(bound)
	for _, s := range c.stages() {
		if s.Approve == nil && s.Pipeline == "" {
			c.targetsOf(s, bound)
		}
	}
}

func (c *checker) targetsOf(s *Stage, bound []string) {
	at := s.At("target") + " exists"
	if c.once[at] {
		return
	}
	c.once[at] = strings.HasPrefix(at, "/defaults/")
	for i, name := range s.Target {
		if _, found := slices.BinarySearch(bound, name); found || name == "" || name == refused || !literal(name) {
			continue
		}
		message, path := fmt.Sprintf("no target named %q in %s", name, c.w.title()), c.targetAt(s, i)
		if c.valueOf(path) == nil {
			c.key("unknown-target", s.Path, "add `target: NAME`; "+c.nearest.hint(name, bound, "targets"), "stage %q says no target, and there is %s", s.Name, message)
			continue
		}
		c.value("unknown-target", path, c.targetCure(name, bound), "%s", message)
	}
}

// targetAt is where the stage names the i-th of its targets.
func (c *checker) targetAt(s *Stage, i int) string {
	path := s.At("target")
	if s.AnyOf {
		path += "/any_of"
	}
	if isList(c.valueOf(path)) {
		path = join(path, strconv.Itoa(i))
	}
	return path
}

func (c *checker) targetNames() []string {
	var names []string
	for _, t := range c.w.Targets {
		names = append(names, t.Name)
	}
	return names
}

func (w *Workspace) title() string {
	if w.Source == nil {
		return "the default workspace (there is no " + FileName + ")"
	}
	return fmt.Sprintf("workspace %q", w.Name)
}

// profiles checks the values that profiles give to this pipeline's parameters.
func (c *checker) profiles() {
	if c.w.Source == nil {
		return
	}
	for _, profile := range c.w.Profiles {
		c.profileParams(profile)
	}
}

// profileParams checks values against this pipeline's parameters. Other pipelines
// of the workspace may have other parameters, so a name that is not among these is
// worth a word only when it looks like a slip.
func (c *checker) profileParams(profile Profile) {
	var names []string
	for _, p := range c.p.Params {
		names = append(names, p.Name)
		v, given := profile.Params[p.Name]
		if !given {
			continue
		}
		if _, problem := p.Accept(v); problem != "" {
			c.inWorkspace("param-value", join(profile.Path+"/params", p.Name), "change the value here, or the bounds in the pipeline", "profile %q gives parameter %q a value that does not fit: %s", profile.Name, p.Name, problem)
		}
	}
	for name := range profile.Params {
		near := c.nearest.name(name, names)
		if slices.Contains(names, name) || near == "" {
			continue
		}
		path := join(profile.Path+"/params", name)
		c.find(diag.Finding{Pos: c.w.Source.KeyAt(path), Width: c.w.Source.KeyWidth(path), Severity: diag.Warning, Code: "unknown-param", Path: path,
			Message: fmt.Sprintf("pipeline %q has no parameter %q, which profile %q sets", c.p.Name, name, profile.Name), Hint: fmt.Sprintf("did you mean %q?", near)})
	}
}

// inWorkspace reports a value in the workspace's file.
func (c *checker) inWorkspace(code diag.Code, path, hint, format string, args ...any) {
	s := c.w.Source
	c.find(diag.Finding{Pos: s.At(path), Width: s.Width(path), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Path: path})
}

// targetCure proposes a target that there is, or to describe this one.
func (c *checker) targetCure(name string, bound []string) string {
	if near := c.nearest.name(name, bound); near != "" || !namePattern.MatchString(name) {
		return c.nearest.hint(name, bound, "targets")
	}
	where := fmt.Sprintf("add `%s: { kind: local }` under `targets:` in %s", name, FileName)
	if c.w.Source == nil {
		where = fmt.Sprintf("make an %s with `amlflow: v1`, `workspace: my-team` and `targets: { local: { kind: local }, %s: { kind: local } }`", FileName, name)
	}
	return c.nearest.hint(name, bound, "targets") + "; or " + where
}
