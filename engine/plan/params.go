package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

func (c *compiler) chooseProfile() {
	if c.o.Profile == "" {
		return
	}
	if p, ok := c.w.Profile(c.o.Profile); ok {
		c.profile = p
		return
	}
	var known []string
	for _, p := range c.w.Profiles {
		known = append(known, p.Name)
	}
	f := diag.Finding{Pos: c.inWorkspace("/profiles"), Path: "/profiles", Code: "unknown-profile",
		Message: fmt.Sprintf("no profile named %q in %s", c.o.Profile, c.workspaceName())}
	f.Hint = nearest(c.o.Profile, known, "profiles")
	c.find(f)
}

// bindParams gives every parameter its value: what was given, else what the
// profile says, else the default.
func (c *compiler) bindParams() {
	c.params = map[string]any{}
	given := maps.Clone(c.o.Params)
	for _, p := range c.p.Params {
		v, how := p.Default, "its default"
		if x, ok := c.profile.Params[p.Name]; ok {
			v, how = x, fmt.Sprintf("what the profile %q says", c.profile.Name)
		}
		if x, ok := given[p.Name]; ok {
			v, how = x, "what was given"
			delete(given, p.Name)
		}
		c.bindParam(p, v, how)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		var known []string
		for _, p := range c.p.Params {
			known = append(known, p.Name)
		}
		c.find(diag.Finding{Pos: c.p.Source.KeyAt("/params"), Path: "/params", Code: "unknown-param",
			Message: fmt.Sprintf("pipeline %q has no parameter %q", c.p.Name, name), Hint: nearest(name, known, "parameters")})
	}
}

func (c *compiler) bindParam(p schema.Param, v any, how string) {
	f := diag.Finding{Pos: c.p.Source.KeyAt(p.Path), Path: p.Path, Width: len(p.Name)}
	if v == nil {
		f.Code, f.Message = "missing-param", fmt.Sprintf("the parameter %q has no default and was not given", p.Name)
		f.Hint = fmt.Sprintf("give it with -p %s=VALUE, or write a default here", p.Name)
		c.find(f)
		return
	}
	if p.Type.IsArtifact() {
		c.params[p.Name] = v // a path, until Attach gives its content a name
		return
	}
	if text, ok := v.(string); ok && p.Type != schema.String {
		v = parse(p.Type, text)
	}
	v, problem := p.Accept(v)
	if problem != "" {
		f.Code, f.Message = "param-value", fmt.Sprintf("the parameter %q cannot take %s: %s", p.Name, how, problem)
		f.Hint = fmt.Sprintf("give another value with -p %s=VALUE", p.Name)
		c.find(f)
		return
	}
	c.params[p.Name] = v
}

// parse reads text as a value of the type, or returns the text when it is not one.
func parse(t schema.Type, text string) any {
	switch t {
	case schema.Integer:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case schema.Number:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case schema.Boolean:
		if text == "true" || text == "false" {
			return text == "true"
		}
	case schema.List:
		var l []any
		if json.Unmarshal([]byte(text), &l) == nil {
			return l
		}
	}
	return text
}
