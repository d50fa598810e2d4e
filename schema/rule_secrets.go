package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// secretName finds the secret that other tools read in an expression.
var secretName = regexp.MustCompile(`^\$\{\{\s*secrets\.([\w-]+)\s*\}\}$`)

// secrets checks that the workspace has them, and that their variables are free.
func (c *checker) secrets() {
	var known []string
	for _, secret := range c.w.Secrets {
		known = append(known, secret.Name)
	}
	slices.Sort(known)
	for _, s := range c.stages() {
		variables := map[string]bool{}
		for _, e := range s.Env {
			if len(s.Secrets) > 0 {
				variables[e.Name] = true
			}
		}
		for _, secret := range s.Secrets {
			c.secretVariable(s, secret, variables)
			c.secret(secret, known)
		}
	}
}

func (c *checker) secretVariable(s *Stage, secret Named, variables map[string]bool) {
	if why := reservedVariable(secret.Name, s.Deploy); why != "" {
		c.key("reserved-name", secret.Path, "choose another name", "%q cannot be set: %s", secret.Name, why)
	}
	if variables[secret.Name] {
		c.key("name-clash", secret.Path, "keep one of them", "stage %q has %q in both `env` and `secrets`", s.Name, secret.Name)
	}
}

func (c *checker) secret(secret Named, known []string) {
	if _, found := slices.BinarySearch(known, secret.Text); found || secret.Text == refused || secret.Text == "" {
		return
	}
	if isExpression(secret.Text) {
		hint := "write the secret's name, as " + FileName + " has it"
		if m := secretName.FindStringSubmatch(secret.Text); m != nil {
			hint = fmt.Sprintf("write %s: %s", secret.Name, c.secretLike(m[1]))
		}
		c.value("wrong-value", secret.Path, hint, "a secret is named here, not computed: %q is no name", shorten(secret.Text))
		return
	}
	hint := c.nearest.hint(secret.Text, known, "secrets")
	if len(known) == 0 {
		hint = fmt.Sprintf("add `secrets: { %s: { env: %s } }` to %s", mend(secret.Text, "small letters -"), secret.Name, FileName)
	}
	c.value("unknown-secret", secret.Path, hint, "no secret named %q in %s", secret.Text, c.w.title())
}

// secretLike is the name of the secret that was meant by name.
func (c *checker) secretLike(name string) string {
	var known []string
	for _, secret := range c.w.Secrets {
		known = append(known, secret.Name)
	}
	if slices.Contains(known, name) {
		return name
	}
	if near := c.nearest.name(name, known); near != "" {
		return near
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// approvers advises about names that look like a slip: they are names of people,
// which nobody can know here, or of groups, which the workspace has.
func (c *checker) approvers() {
	var groups []string
	people := map[string]bool{}
	for name, members := range c.w.Groups {
		groups = append(groups, name)
		people[name] = true
		for _, person := range members {
			people[person] = true
		}
	}
	slices.Sort(groups)
	for _, s := range c.stages() {
		if s.Approve == nil {
			continue
		}
		for i, name := range s.Approve.By {
			near := ""
			if !people[name] && name != refused {
				near = c.nearest.name(name, groups)
			}
			if near == "" {
				continue
			}
			at := fmt.Sprintf("%s/approve/by/%d", s.Path, i)
			c.find(diag.Finding{Pos: c.p.Source.At(at), Width: c.p.Source.Width(at), Severity: diag.Warning, Code: "unknown-name", Path: at,
				Message: fmt.Sprintf("no group named %q in %s, so this is taken for a person", name, c.w.title()), Hint: fmt.Sprintf("did you mean %q?", near)})
		}
	}
}
