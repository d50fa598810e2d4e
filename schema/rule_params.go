package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// params checks each parameter against its own bounds.
func (c *checker) params() {
	for _, p := range c.p.Params {
		if p.Type.words() == string(p.Type) || p.Type.IsArtifact() {
			continue // shape has reported the type
		}
		c.paramBounds(p)
		if p.Default != nil && c.steps <= maxAll {
			if _, problem := p.Accept(p.Default); problem != "" {
				c.value("param-value", p.Path+"/default", p.defaultCure(), "the default of parameter %q does not fit: %s", p.Name, problem)
			}
		}
		for i, allowed := range p.Enum {
			if _, fits := p.Type.of(allowed); !fits && p.Type != List && allowed != refused {
				c.value("param-value", fmt.Sprintf("%s/enum/%d", p.Path, i), "change the value, or the type", "%s is not %s, as parameter %q is to be", compact(allowed), p.Type.words(), p.Name)
			}
		}
	}
}

// defaultCure is for a default that the parameter does not accept.
func (p Param) defaultCure() string {
	text, isText := p.Default.(string)
	_, fits := p.Type.of(p.Default)
	switch {
	case fits || p.Default == nil:
	case p.Type == String && !isList(p.Default):
		return "put it in quotes"
	case p.Type == List && !isList(p.Default):
		return fmt.Sprintf("write [%s]", compact(p.Default))
	case p.Type == Boolean && (text == "true" || text == "false"):
		return "remove the quotes"
	case p.Type == Boolean && slices.Contains([]string{"yes", "on", "y", "true"}, strings.ToLower(text)):
		return "write true"
	case p.Type == Boolean && slices.Contains([]string{"false", "no", "off", "n"}, strings.ToLower(text)):
		return "write false"
	case isText && (p.Type == Integer || p.Type == Number) && plainNumeral.MatchString(text):
		return "remove the quotes"
	}
	if near := nearestOf(p.Enum[:min(len(p.Enum), maxEnum)], p.Default); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return defaultCure
}

const defaultCure = "change the default, or the type or bounds of the parameter"

var plainNumeral = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// paramBounds checks that the bounds fit the type and each other.
func (c *checker) paramBounds(p Param) {
	if p.Minimum != nil && p.Maximum != nil && *p.Minimum > *p.Maximum {
		c.value("param-bounds", p.Path+"/maximum", "swap them", "parameter %q has the minimum %s above its maximum %s", p.Name, plainNumber(*p.Minimum), plainNumber(*p.Maximum))
	}
	if p.Type == Boolean {
		for _, key := range []string{"minimum", "maximum"} {
			if c.valueOf(p.Path+"/"+key) != nil {
				c.key("param-bounds", p.Path+"/"+key, "remove it", "parameter %q is true or false, which has no %s", p.Name, key)
			}
		}
	}
	if p.Pattern == "" {
		return
	}
	if p.Type != String {
		c.key("param-bounds", p.Path+"/pattern", "remove it, or make the type `string`", "parameter %q is %s, and a pattern is for text", p.Name, p.Type.words())
	}
	if c.steps > maxAll {
		c.value("bad-pattern", p.Path+"/pattern", "use fewer patterns, or shorter ones", "the patterns of this file are too large together")
		return
	}
	compiled, err := compilePattern(p.Pattern)
	c.steps += compiled.cost
	if err != nil {
		c.value("bad-pattern", p.Path+"/pattern", "patterns are short, and RE2: without look-ahead and back-references", "this pattern cannot be used: %s", err)
	}
}

// use notes that an expression reads a parameter.
func (c *checker) use(path []string) {
	if len(path) == 0 || path[0] != "params" {
		return
	}
	if len(path) == 1 {
		c.allUsed = true
		return
	}
	c.used[path[1]] = true
}
