package schema

import (
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/schema/expr"
)

// used is a file that a stage uses: what it wants to be given, and what it decides
// before the run.
type used struct {
	kind   string
	name   string
	params []Param
	early  map[string]bool
}

func (s *Stage) used() (used, bool) {
	switch {
	case s.Template != nil:
		return used{"template", s.Template.Name, s.Template.Params, s.Template.alone.early}, true
	case s.Nested != nil:
		return used{"pipeline", s.Nested.Name, s.Nested.Params, s.Nested.early}, true
	}
	return used{}, false
}

// uses checks what templates and pipelines are given in `with`.
func (c *checker) uses() {
	for _, s := range c.stages() {
		if isExpression(s.Uses) {
			c.value("too-early", s.Path+"/uses", "write the name out; to choose, write one stage for each with `if`", "which template a stage uses is decided when the file is read, so no expression can say it")
		}
		u, found := s.used()
		if !found {
			for _, w := range s.With { // what it names was not found; what it is given is checked all the same
				c.text(place{path: w.Path, text: w.Text, stage: s})
			}
			continue
		}
		c.arguments(s, u)
	}
}

// paramsOf are the names of what a used file wants, and where each stands in the list.
// The next stage often uses the same file.
func (c *checker) paramsOf(u used) ([]string, map[string]int) {
	if len(u.params) == 0 {
		return nil, nil
	}
	if c.wanting.of != &u.params[0] {
		c.wanting = wanting{of: &u.params[0], index: map[string]int{}}
		for i, p := range u.params {
			c.wanting.names = append(c.wanting.names, p.Name)
			c.wanting.index[p.Name] = i
		}
	}
	return c.wanting.names, c.wanting.index
}

// wanting keeps the parameters of the file that was looked at last.
type wanting struct {
	of    *Param
	names []string
	index map[string]int
}

func (c *checker) arguments(s *Stage, u used) {
	names, index := c.paramsOf(u)
	var unknown []string
	for _, w := range s.With {
		i, ok := index[w.Name]
		if !ok {
			unknown = append(unknown, w.Name)
			c.key("unknown-param", w.Path, c.extraCure(s, w.Name, names), "%s %q has no parameter %q", u.kind, u.name, w.Name)
			c.text(place{path: w.Path, text: w.Text, stage: s})
			continue
		}
		c.argument(s, u, u.params[i], w)
	}
	if c.elsewhereGiven(s) {
		return
	}
	for _, p := range u.params {
		if p.Default != nil {
			continue
		}
		if _, said := c.p.Source.Value(join(s.Path, "with", p.Name)); !said && c.few() {
			c.missing(s, u, p, names, unknown)
		}
	}
}

// extraCure is for a value whose parameter there is not: it is another one, unless
// all of them are given already.
func (c *checker) extraCure(s *Stage, name string, names []string) string {
	open := slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		return slices.ContainsFunc(s.With, func(w Named) bool { return w.Name == other })
	})
	if len(open) == 0 || c.nearest.name(name, open) == "" {
		return "remove it: " + c.nearest.hint("", names, "parameters")
	}
	return c.nearest.hint(name, open, "parameters")
}

// elsewhereGiven reports whether a stage gives what it uses something under another
// name than `with`, or is no use of it at all: that is said already.
func (c *checker) elsewhereGiven(s *Stage) bool {
	for _, key := range []string{"run", "command", "deploy", "params", "parameters", "inputs", "args", "arguments", "vars", "variables", "values"} {
		if c.valueOf(s.Path+"/"+key) != nil && (s.Nested != nil || key != "inputs") {
			return true
		}
	}
	with, said := c.p.Source.Value(s.Path + "/with")
	return said && asMap(with) == nil
}

// missing reports a parameter that must be given, unless one that there is not was
// reported with this one as its cure.
func (c *checker) missing(s *Stage, u used, p Param, names, unknown []string) {
	if near := c.nearest.name(p.Name, unknown); near != "" && c.nearest.name(near, names) == p.Name {
		return
	}
	at := s.Path + "/with"
	if c.valueOf(at) == nil {
		at = s.Path + "/uses"
		if s.Nested != nil {
			at = s.Path + "/pipeline"
		}
	}
	value := "…"
	if p.Type.IsArtifact() {
		value = `"${{ stages.NAME.outputs.NAME }}"`
	}
	c.key("missing-param", at, fmt.Sprintf("write `with: { %s: %s }`", p.Name, value), "%s %q must be given %q, which is %s", u.kind, u.name, p.Name, p.Type.words())
}

// argument checks one value that a used file is given.
func (c *checker) argument(s *Stage, u used, p Param, w Named) {
	title := fmt.Sprintf("parameter %q of %s %q", p.Name, u.kind, u.name)
	switch v := c.valueOf(w.Path); {
	case w.Text == refused:
	case isExpression(w.Text):
		want := p.Type.known(expr.RunTime)
		t, _ := expr.Split(w.Text)
		if _, single := t.Single(); !single && p.Type != String {
			c.value(expr.CodeType, w.Path, "write one ${{ expression }} with nothing around it", "text with an expression in it is text, and %s is %s", title, p.Type.words())
			want = expr.Type{}
		}
		c.text(place{path: w.Path, text: w.Text, stage: s, want: want, early: u.early[p.Name], argument: title})
	case p.Type.IsArtifact():
		c.value("param-value", w.Path, c.artifactCure(w, p), "%s is %s, which %s cannot name", title, p.Type.words(), givenKind(v))
	default:
		c.literals(w.Path, w.List)
		if c.reports > maxReports {
			return
		}
		if _, problem := p.Accept(v); problem != "" && c.few() {
			c.value("param-value", w.Path, p.cure(v), "%s cannot be this: %s", title, problem)
		}
	}
}

// artifactCure is for text where an artifact is wanted: perhaps an expression that
// lost its braces.
func (c *checker) artifactCure(w Named, p Param) string {
	if reference.MatchString(w.Text) {
		return fmt.Sprintf(`write "${{ %s }}"`, w.Text)
	}
	for _, s := range c.all[:min(len(c.all), maxAsked)] {
		for _, output := range s.Outputs {
			if output.Type == p.Type && (output.Name == w.Text || output.Name == p.Name) {
				return fmt.Sprintf(`write "${{ stages.%s.outputs.%s }}", or another output or parameter that is %s`, s.Name, output.Name, p.Type.words())
			}
		}
	}
	return "make it an output of a stage, and write \"${{ stages.NAME.outputs.NAME }}\""
}

func givenKind(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case []any:
		return "a list"
	}
	return givenWords(v)
}

// cure is for a value, given by another file, that p does not accept.
func (p Param) cure(v any) string {
	other := p
	other.Default = v
	if cure := other.defaultCure(); cure != defaultCure {
		return cure
	}
	if near := nearestOf(p.Enum[:min(len(p.Enum), maxEnum)], v); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if _, fits := p.Type.of(v); !fits && len(p.Enum) == 0 {
		return "write " + p.Type.words()
	}
	return "give a value that fits"
}

// maxEnum is how many allowed values one that is not allowed is compared with.
const maxEnum = 200

func nearestOf(list []any, v any) string {
	var near nearest
	var known []string
	for _, x := range list {
		known = append(known, compact(x))
	}
	return near.name(compact(v), known)
}
