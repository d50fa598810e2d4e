package tracking

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// condition is one comparison of a filter, which holds when all of them do. The language
// is that of MLflow's search: metrics.loss < 0.3 AND params."model" LIKE 'tree%'.
type condition struct {
	kind, key string // "metric", "param", "tag", "dataset" or "attribute", and its name
	operator  string
	values    []string
}

// maxFilter is the most bytes of a filter.
const maxFilter = 16 << 10

func parseFilter(text string) ([]condition, error) {
	if len(text) > maxFilter {
		return nil, invalid("a filter has at most %d bytes", maxFilter)
	}
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	var all []condition
	for len(words) > 0 {
		c, rest, ok := parseCondition(words)
		if !ok {
			return nil, invalid("the filter %q cannot be read from %q on: write comparisons, such as metrics.loss < 0.3, joined by AND", text, strings.Join(words, " "))
		}
		all = append(all, c)
		if words = rest; len(words) > 1 && strings.EqualFold(words[0], "AND") {
			words = words[1:]
		} else if len(words) > 0 {
			return nil, invalid("the filter %q has %q where AND or its end should be", text, words[0])
		}
	}
	return all, nil
}

var operators = []string{"=", "==", "!=", "<>", "<", "<=", ">", ">=", "LIKE", "ILIKE"}

func parseCondition(words []string) (c condition, rest []string, ok bool) {
	if len(words) < 3 {
		return c, nil, false
	}
	c.kind, c.key = identifier(words[0])
	c.operator = strings.ToUpper(words[1])
	next := strings.ToUpper(words[2])
	switch {
	case c.operator == "IS" && next == "NULL":
		return c, words[3:], true
	case c.operator == "IS" && next == "NOT" && len(words) > 3 && strings.EqualFold(words[3], "NULL"):
		c.operator = "IS NOT"
		return c, words[4:], true
	case c.operator == "IN":
		return c.list(words[2:])
	case c.operator == "NOT" && next == "IN":
		c.operator = "NOT IN"
		return c.list(words[3:])
	case slices.Contains(operators, c.operator):
		c.values = []string{unquoted(words[2])}
		return c, words[3:], true
	}
	return c, nil, false
}

// list reads the values of IN: ( 'a' , 'b' ).
func (c condition) list(words []string) (condition, []string, bool) {
	if len(words) == 0 || words[0] != "(" {
		return c, nil, false
	}
	for i, w := range words[1:] {
		switch w {
		case ")":
			return c, words[i+2:], true
		case ",":
		default:
			c.values = append(c.values, unquoted(w))
		}
	}
	return c, nil, false
}

// identifier reads metrics.loss, params."x y", tags.`a` or an attribute.
func identifier(word string) (kind, key string) {
	prefix, rest, ok := strings.Cut(word, ".")
	kinds := map[string]string{"metric": "metric", "metrics": "metric", "param": "param", "params": "param", "parameter": "param", "parameters": "param", "tag": "tag", "tags": "tag", "attribute": "attribute", "attributes": "attribute", "attr": "attribute", "run": "attribute", "dataset": "dataset", "datasets": "dataset"}
	if kind = kinds[strings.ToLower(prefix)]; ok && kind != "" {
		return kind, unquoted(rest)
	}
	return "attribute", unquoted(word)
}

func unquoted(word string) string {
	if n := len(word); n >= 2 && word[0] == word[n-1] && strings.ContainsRune("'\"`", rune(word[0])) {
		return word[1 : n-1]
	}
	return word
}

var wordPattern = regexp.MustCompile("^(?:[A-Za-z_]+\\.(?:\"[^\"]*\"|`[^`]*`)|'[^']*'|\"[^\"]*\"|`[^`]*`|<=|>=|!=|<>|==|[=<>(),]|[^\\s'\"`=<>!(),]+)")

// split cuts a filter into words.
func split(text string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(text); rest != ""; {
		w := wordPattern.FindString(rest)
		if w == "" {
			return nil, invalid("%q cannot be read from %q on", text, rest)
		}
		words = append(words, w)
		rest = strings.TrimSpace(rest[len(w):])
	}
	return words, nil
}

// holds reports whether all conditions hold.
func holds(all []condition, field func(kind, key string) any) bool {
	for _, c := range all {
		if !c.holds(field(c.kind, c.key)) {
			return false
		}
	}
	return true
}

func (c condition) holds(v any) bool {
	switch {
	case c.operator == "IS":
		return v == nil
	case c.operator == "IS NOT":
		return v != nil
	case v == nil:
		return false
	}
	switch x := v.(type) {
	case float64:
		return c.number(x)
	case []string: // any of them
		return slices.ContainsFunc(x, c.text)
	}
	s, _ := v.(string)
	return c.text(s)
}

func (c condition) number(x float64) bool {
	y, err := strconv.ParseFloat(c.values[0], 64)
	if err != nil {
		return false
	}
	switch c.operator {
	case "=", "==":
		return x == y
	case "!=", "<>":
		return x != y
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	case ">=":
		return x >= y
	}
	return false
}

func (c condition) text(s string) bool {
	switch c.operator {
	case "IN":
		return slices.Contains(c.values, s)
	case "NOT IN":
		return !slices.Contains(c.values, s)
	case "=", "==":
		return s == c.values[0]
	case "!=", "<>":
		return s != c.values[0]
	case "LIKE":
		return like(c.values[0], s)
	case "ILIKE":
		return like(strings.ToLower(c.values[0]), strings.ToLower(s))
	}
	return false
}

// like matches a pattern of SQL: % stands for any text, _ for one character.
func like(pattern, s string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, "%", "(?s:.*)"), "_", "(?s:.)")
	p, err := regexp.Compile("^" + quoted + "$")
	return err == nil && p.MatchString(s)
}
