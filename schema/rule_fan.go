package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// fanOut checks what stages are multiplied by and repeated for.
func (c *checker) fanOut() {
	for _, s := range c.stages() {
		if s.Matrix != nil {
			c.matrix(s)
		}
		if s.Each != nil {
			c.each(s)
		}
		if s.Until != nil {
			c.wanted(place{path: s.Path + "/until/when", text: s.Until.When, stage: s, own: true, want: expr.Type{Kind: expr.Bool}})
		}
	}
}

// wanted checks a text that must be one expression.
func (c *checker) wanted(p place) {
	if !isExpression(p.text) {
		return // the shape has said so
	}
	t, errs := expr.Split(p.text)
	if _, single := t.Single(); len(errs) == 0 && !single {
		c.value("unwrapped-expression", p.path, "put all of it inside one ${{ }}", "this must be one expression, with nothing around it")
		return
	}
	c.text(p)
}

func (c *checker) each(s *Stage) {
	at := s.Path + "/each"
	if s.Each.Text == "" {
		c.literals(at, s.Each.List)
		c.versions(at, "", s.Each.List)
		return
	}
	c.wanted(place{path: at, text: s.Each.Text, stage: s, alone: true, want: expr.Type{Kind: expr.List}})
}

// literals refuses expressions inside of a list that is taken as it is written.
func (c *checker) literals(at string, list []any) {
	for i, v := range list {
		path := fmt.Sprintf("%s/%d", at, i)
		if text, ok := v.(string); ok && isExpression(text) {
			c.value("wrong-value", path, "write the whole list as one expression: "+listExpression(list), "a list that is written out holds values, and this is an expression")
		}
		for _, key := range keysOf(v) {
			if text, ok := asMap(v)[key].(string); ok && isExpression(text) {
				c.value("wrong-value", join(path, key), "write the value out, or give the list by one expression", "a list that is written out holds values, and this is an expression")
			}
		}
	}
}

// listExpression is a list with expressions in it as one expression.
func listExpression(list []any) string {
	items := make([]string, len(list))
	for i, v := range list {
		text, isText := v.(string)
		t, errs := expr.Split(text)
		part, single := t.Single()
		switch {
		case isText && single && len(errs) == 0:
			items[i] = part.Expr
		case isText && isExpression(text):
			return `"${{ [ … ] }}"`
		case isText:
			items[i] = "'" + text + "'"
		default:
			items[i] = compact(v)
		}
	}
	whole := "${{ [" + strings.Join(items, ", ") + "] }}"
	if len(whole) > 80 {
		return `"${{ [ … ] }}"`
	}
	return quoted(whole)
}

// maxExcluding is how often combinations are held against entries of exclude.
const maxExcluding = 300_000

func (c *checker) matrix(s *Stage) {
	known := c.axes(s)
	at := s.Path + "/matrix"
	values := map[string]map[any]bool{}
	for _, axis := range s.Matrix.Axes {
		c.versions(axis.Path, axis.Name, axis.Values)
		values[axis.Name] = valueSet(axis)
	}
	for i, m := range s.Matrix.Exclude {
		c.combination(fmt.Sprintf("%s/exclude/%d", at, i), m)
		for _, name := range keysOf(m) {
			if _, ok := values[name]; !ok {
				c.key("unknown-name", join(fmt.Sprintf("%s/exclude/%d", at, i), name), c.nearest.hint(name, known, "names of the matrix"), "the matrix has no %q to exclude", name)
			}
		}
		c.excludes(s, i, m, values)
	}
	for i, m := range s.Matrix.Include {
		c.combination(fmt.Sprintf("%s/include/%d", at, i), m)
	}
	if len(s.Matrix.Axes)+len(s.Matrix.Include) == 0 {
		return // the shape says that it is empty
	}
	size := s.Matrix.size()
	c.answers += min(size, MaxCombinations) * len(s.Matrix.Exclude)
	if size <= MaxCombinations && (len(s.Matrix.Exclude) == 0 || c.answers > maxExcluding) {
		return
	}
	combinations, certain := s.Matrix.known()
	switch {
	case size > MaxCombinations:
		c.key("too-large", at, "write fewer values, or split the stage", "the matrix has %d combinations, more than %d", s.Matrix.size(), MaxCombinations)
	case certain && len(combinations) == 0:
		c.key("no-effect", at, "exclude less", "every combination of the matrix is excluded, so stage %q would never run", s.Name)
	}
}

// size is how many combinations the axes make, before any is excluded.
func (m *Matrix) size() int {
	n := 1
	for _, axis := range m.Axes {
		if n *= len(axis.Values); n > 1<<40 {
			return n
		}
	}
	return n
}

// axes checks the names of a matrix and their values, and returns the names, sorted.
func (c *checker) axes(s *Stage) []string {
	var known []string
	for _, axis := range s.Matrix.Axes {
		known = append(known, axis.Name)
		if axis.Text != "" {
			c.wanted(place{path: axis.Path, text: axis.Text, stage: s, early: true, alone: true, want: expr.Type{Kind: expr.List}})
		}
		seen := map[any]bool{}
		for i, v := range axis.Values {
			path := fmt.Sprintf("%s/%d", axis.Path, i)
			if text, ok := v.(string); ok && isExpression(text) {
				c.text(place{path: path, text: text, stage: s, early: true, alone: true})
			}
			if seen[plain(v)] && v != refused && c.few() {
				c.adviseValue("no-effect", path, "remove one of the two", "%s is twice among the values of %q, so the stage would do the same twice", shown(v), axis.Name)
			}
			seen[plain(v)] = true
		}
	}
	slices.Sort(known)
	return known
}

// combination refuses expressions in an entry of include and exclude.
func (c *checker) combination(at string, m map[string]any) {
	for _, name := range keysOf(m) {
		if text, ok := m[name].(string); ok && isExpression(text) {
			c.value("wrong-value", join(at, name), "write the value out, or put the expression among the values of a name", "a combination holds values, and this is an expression")
		}
	}
}

// excludes advises about an entry that takes nothing away, because a value in it is
// none of those that the matrix has.
func (c *checker) excludes(s *Stage, i int, m map[string]any, values map[string]map[any]bool) {
	if len(m) > len(s.Matrix.Axes) {
		return // a name of it is none of the matrix, and reported
	}
	for _, axis := range s.Matrix.Axes {
		v, said := m[axis.Name]
		if !said || values[axis.Name] == nil || values[axis.Name][plain(v)] || v == refused || isText(v) && isExpression(v.(string)) {
			continue
		}
		if !c.few() {
			return
		}
		var known []string
		for _, other := range axis.Values[:min(len(axis.Values), 100)] {
			known = append(known, compact(other))
		}
		c.adviseValue("no-effect", fmt.Sprintf("%s/matrix/exclude/%d/%s", s.Path, i, escaper.Replace(axis.Name)), c.nearest.hint(compact(v), known, "values of "+axis.Name),
			"%s is none of the values of %q, so nothing is excluded", shown(v), axis.Name)
	}
}

// valueSet are the values of a name, as plain has them; nil when not all are known.
func valueSet(axis Axis) map[any]bool {
	if axis.Text != "" {
		return nil
	}
	set := map[any]bool{}
	for _, v := range axis.Values {
		if text, ok := v.(string); ok && isExpression(text) {
			return nil
		}
		set[plain(v)] = true
	}
	return set
}

// plain is a value to compare others with: 1 and 1.0 are the same.
func plain(v any) any {
	if n, ok := number(v); ok {
		return n
	}
	switch v.(type) {
	case string, bool, nil:
		return v
	}
	return compact(v)
}
