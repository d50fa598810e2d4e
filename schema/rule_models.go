package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// models checks what stages say about the registry of models.
func (c *checker) models() {
	for _, s := range c.stages() {
		if s.Register == nil {
			continue
		}
		if v := c.valueOf(s.Path + "/register"); v == true {
			c.value("wrong-value", s.Path+"/register", "remove the key, or write { OUTPUT: NAME }", "outputs of type model are registered anyway")
		}
		known, all := c.promises(s)
		for _, n := range s.Register.Names {
			c.text(place{path: n.Path, text: n.Text, stage: s, bare: true})
			if !all {
				continue // what it uses was not found
			}
			t, made := known[n.Name]
			switch {
			case !made:
				c.key("unknown-output", n.Path, c.nearest.hint(n.Name, keysOfTypes(known), "outputs"), "stage %q has no output %q to register", s.Name, n.Name)
			case !t.IsArtifact():
				c.key("wrong-type", n.Path, "declare the output as a model, folder or file", "the output %q is a value of type %s, and a model is content", n.Name, t)
			}
		}
	}
}

// promises are the outputs of a stage, by name; ok tells that they are known.
func (c *checker) promises(s *Stage) (known map[string]Type, ok bool) {
	for s.Template != nil {
		s = &s.Template.Stage
	}
	if s.Run == "" && len(s.Command) == 0 && s.Batch == nil { // what it uses was not found, or it makes none: `suits` says so
		return nil, false
	}
	known = map[string]Type{}
	for _, d := range s.Outputs {
		known[d.Name] = d.Type
	}
	return known, true
}

func keysOfTypes(m map[string]Type) []string {
	return slices.Sorted(maps.Keys(m))
}

// ofRegistry is a model of the registry: a name, and a version or a label.
var ofRegistry = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*@([a-z]+|[0-9]+)$`)

// labels are what a version of a model may be called besides its number.
var labels = []string{"candidate", "staging", "production", "latest"}

// deployed checks the model that a stage serves.
func (c *checker) deployed(s *Stage) { c.named(s, s.Path+"/deploy/model", s.Deploy.Model) }

// named checks a text that names a model: an artifact, or one of the registry.
func (c *checker) named(s *Stage, at, text string) {
	p := place{path: at, text: text, stage: s, want: expr.Type{Kind: expr.Artifact}}
	t, errs := expr.Split(text)
	if _, single := t.Single(); len(errs) == 0 && !single && !t.IsLiteral() { // NAME@${{ params.version }}
		p.early, p.bare, p.want = true, true, expr.Type{}
	}
	c.text(p)
	if len(errs) == 0 && t.IsLiteral() && text != "" && text != refused {
		c.reference(at, text)
	}
}

// reference checks a version or label that is written out.
func (c *checker) reference(at, text string) {
	m := ofRegistry.FindStringSubmatch(text)
	if m == nil {
		return // shape has refused it
	}
	if which := m[1]; which[0] > '9' && !slices.Contains(labels, which) {
		c.value("wrong-value", at, c.nearest.hint(which, labels, "labels"), "%q is no label of a model", which)
	}
	if strings.HasSuffix(text, "@0") {
		c.value("wrong-value", at, "write @latest for the newest", "%s", fmt.Sprintf("versions of a model count from 1, and %q has none", text))
	}
}
