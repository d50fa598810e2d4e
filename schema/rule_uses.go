package schema

import (
	"fmt"
	"slices"
	"strings"

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
		for _, key := range []string{"uses", "pipeline"} {
			if text := c.p.Source.text(s.Path + "/" + key); isExpression(text) {
				c.value("too-early", s.Path+"/"+key, "write the name out; to choose, write one stage for each with `if`", "which %s a stage uses is decided when the file is read, so no expression can say it", key)
			}
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

func (c *checker) arguments(s *Stage, u used) {
	var names []string
	for _, p := range u.params {
		names = append(names, p.Name)
	}
	given := map[string]bool{}
	for _, w := range s.With {
		i := slices.Index(names, w.Name)
		if i < 0 {
			c.key("unknown-param", w.Path, c.nearest.hint(w.Name, names, "parameters"), "%s %q has no parameter %q", u.kind, u.name, w.Name)
			c.text(place{path: w.Path, text: w.Text, stage: s})
			continue
		}
		given[w.Name] = true
		c.argument(s, u, u.params[i], w)
	}
	for _, p := range u.params {
		_, said := c.p.Source.Value(join(s.Path, "with", p.Name))
		if p.Default == nil && !given[p.Name] && !said {
			at := s.Path + "/with"
			if c.valueOf(at) == nil {
				at = s.Path + "/uses"
				if u.kind == "pipeline" {
					at = s.Path + "/pipeline"
				}
			}
			c.key("missing-param", at, fmt.Sprintf("write `with: { %s: … }`", p.Name), "%s %q must be given %q, which is %s", u.kind, u.name, p.Name, p.Type.words())
		}
	}
}

// argument checks one value that a used file is given.
func (c *checker) argument(s *Stage, u used, p Param, w Named) {
	if w.Text == refused {
		return
	}
	if isExpression(w.Text) {
		want := p.Type.known(expr.RunTime)
		t, _ := expr.Split(w.Text)
		if _, single := t.Single(); !single && p.Type != String && !p.Type.IsArtifact() {
			c.value(expr.CodeType, w.Path, "write one ${{ expression }} with nothing around it", "text with an expression in it is text, and parameter %q of %s %q is %s", p.Name, u.kind, u.name, p.Type.words())
			want = expr.Type{}
		}
		c.text(place{path: w.Path, text: w.Text, stage: s, want: want, early: u.early[p.Name], argument: fmt.Sprintf("parameter %q of %s %q", p.Name, u.kind, u.name)})
		return
	}
	if p.Type.IsArtifact() {
		c.value("param-value", w.Path, "give it an output of a stage, such as ${{ stages.NAME.outputs.NAME }}, or a parameter of the same type", "parameter %q of %s %q is %s, which text cannot name", p.Name, u.kind, u.name, p.Type.words())
		return
	}
	v := c.valueOf(w.Path)
	if _, problem := p.Accept(v); problem != "" {
		c.value("param-value", w.Path, Param{Name: p.Name, Type: p.Type, Default: v}.defaultCure(), "parameter %q of %s %q cannot be this: %s", p.Name, u.kind, u.name, problem)
	}
}

// fanOut checks what stages are multiplied by and repeated for.
func (c *checker) fanOut() {
	for _, s := range c.stages() {
		if s.Matrix != nil {
			c.matrix(s)
		}
		if s.Each != nil && s.Each.Text != "" {
			c.wanted(place{path: s.Path + "/each", text: s.Each.Text, stage: s, alone: true, want: expr.Type{Kind: expr.List}})
		}
		if s.Until != nil {
			c.wanted(place{path: s.Path + "/until/when", text: s.Until.When, stage: s, own: true, want: expr.Type{Kind: expr.Bool}})
		}
	}
}

// wanted checks a text that must be one expression.
func (c *checker) wanted(p place) {
	t, errs := expr.Split(p.text)
	if _, single := t.Single(); len(errs) == 0 && !single && p.text != "" && p.text != refused {
		c.value("unwrapped-expression", p.path, fmt.Sprintf("write ${{ %s }}", shorten(strings.Trim(p.text, "${} "))), "this must be one expression, with nothing around it")
		return
	}
	c.text(p)
}

func (c *checker) matrix(s *Stage) {
	names := map[string]bool{}
	for _, axis := range s.Matrix.Axes {
		names[axis.Name] = true
		if axis.Text != "" {
			c.wanted(place{path: axis.Path, text: axis.Text, stage: s, early: true, alone: true, want: expr.Type{Kind: expr.List}})
		}
		for i, v := range axis.Values {
			if text, ok := v.(string); ok && isExpression(text) {
				c.text(place{path: fmt.Sprintf("%s/%d", axis.Path, i), text: text, stage: s, early: true, alone: true})
			}
		}
	}
	known := make([]string, 0, len(names))
	for name := range names {
		known = append(known, name)
	}
	slices.Sort(known)
	for i, m := range s.Matrix.Exclude {
		for _, name := range keysOf(m) {
			if !names[name] {
				c.key("unknown-name", join(fmt.Sprintf("%s/matrix/exclude/%d", s.Path, i), name), c.nearest.hint(name, known, "names of the matrix"), "the matrix has no %q to exclude", name)
			}
		}
	}
	if combinations, certain := s.Matrix.known(); certain && len(combinations) == 0 {
		c.key("no-effect", s.Path+"/matrix", "exclude less", "every combination of the matrix is excluded, so stage %q would never run", s.Name)
	}
}

// secrets checks that the workspace has them, and that their variables are free.
func (c *checker) secrets() {
	var known []string
	for _, secret := range c.w.Secrets {
		known = append(known, secret.Name)
	}
	slices.Sort(known)
	for _, s := range c.stages() {
		for _, secret := range s.Secrets {
			if why := reservedVariable(secret.Name, s.Deploy); why != "" {
				c.key("reserved-name", secret.Path, "choose another name", "%q cannot be set: %s", secret.Name, why)
			}
			if slices.ContainsFunc(s.Env, func(e Named) bool { return e.Name == secret.Name }) {
				c.key("name-clash", secret.Path, "keep one of them", "stage %q has %q in both `env` and `secrets`", s.Name, secret.Name)
			}
			if _, found := slices.BinarySearch(known, secret.Text); found || secret.Text == refused {
				continue
			}
			hint := c.nearest.hint(secret.Text, known, "secrets")
			if len(known) == 0 {
				hint = fmt.Sprintf("add `secrets: { %s: { env: %s } }` to %s", secret.Text, secret.Name, FileName)
			}
			c.value("unknown-secret", secret.Path, hint, "no secret named %q in %s", secret.Text, c.w.title())
		}
	}
}

// alien are keys that make no sense beside what a stage does.
var alien = map[string][]string{
	"approve":  {"target", "inputs", "outputs", "metrics", "env", "secrets", "environment", "cache", "code", "resources", "retry", "timeout", "matrix", "each", "until", "concurrency"},
	"pipeline": {"target", "inputs", "outputs", "metrics", "env", "secrets", "environment", "cache", "code", "resources", "timeout", "until"},
	"deploy":   {"cache", "until", "matrix", "each"},
}

// aliens are the cures for them.
var aliens = map[string]string{
	"approve":  "a stage that waits for a person runs nothing: say it in a stage that needs this one",
	"pipeline": "say it in the stages of the pipeline that it names",
	"deploy":   "say it in a stage that runs something",
}

// suits refuses keys that would have no effect.
func (c *checker) suits() {
	for _, s := range c.stages() {
		for _, kind := range []string{"approve", "pipeline", "deploy"} {
			if !c.p.Source.said(s.Path + "/" + kind) {
				continue
			}
			for _, key := range alien[kind] {
				if path := s.Path + "/" + key; c.valueOf(path) != nil {
					at := path
					if key == "timeout" && kind == "approve" {
						c.key("no-effect", at, "write `approve: { timeout: … }`", "`timeout` is for an attempt to run something")
						continue
					}
					c.key("no-effect", at, aliens[kind], "`%s` has no effect in a stage with `%s`", key, kind)
				}
			}
		}
		beside := func(key, what string, ok bool) {
			if path := s.Path + "/" + key; !ok && c.valueOf(path) != nil {
				c.key("no-effect", path, fmt.Sprintf("remove it, or add %s", what), "`%s` has no effect without %s", key, what)
			}
		}
		beside("with", "`uses` or `pipeline`", c.p.Source.said(s.Path+"/uses") || c.p.Source.said(s.Path+"/pipeline"))
		beside("parallel", "`matrix` or `each`", s.Matrix != nil || s.Each != nil)
		if s.Matrix != nil && s.Each != nil {
			c.key("two-kinds", s.Path+"/each", "put one of them into a stage of its own", "stage %q has both `matrix` and `each`", s.Name)
		}
		if c.p.alone {
			for _, key := range []string{"matrix", "each", "parallel", "needs"} {
				if path := s.Path + "/" + key; c.valueOf(path) != nil {
					c.key("no-effect", path, "say it in the stage that uses the template", "a template says what one stage does; `%s` is for the pipeline that uses it", key)
				}
			}
		}
	}
}
