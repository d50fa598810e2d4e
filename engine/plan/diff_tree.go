package plan

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/unified"
)

// changes compares two trees. Whatever differs is in at least one change.
func changes(key string, a, b any) []Change {
	if same(a, b) {
		return nil
	}
	var out []Change
	if x, y := brevity(key, a), brevity(key, b); x.ok && y.ok && !same(x.value, y.value) {
		return []Change{changed(key, x.value, y.value)}
	}
	if am, bm := fields(a), fields(b); am != nil && bm != nil {
		out = inMaps(key, am, bm)
	} else if as, bs := named(a), named(b); as != nil && bs != nil {
		out = inLists(key, as, bs)
	}
	if len(out) == 0 {
		out = append(out, changed(key, a, b))
	}
	return out
}

// changed is one change. Text over several lines gets a diff of its own.
func changed(key string, a, b any) Change {
	c := Change{Key: key, Before: a, After: b}
	x, isText := a.(string)
	y, areTexts := b.(string)
	if isText && areTexts && (strings.Contains(strings.TrimSpace(x), "\n") || strings.Contains(strings.TrimSpace(y), "\n")) {
		c.Diff = unified.Diff("before", "after", x, y)
	}
	return c
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func inMaps(key string, a, b map[string]any) []Change {
	var out []Change
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		out = append(out, changes(joined(key, k), a[k], b[k])...)
	}
	return out
}

func joined(key, more string) string {
	if key == "" {
		return more
	}
	return key + "." + more
}

// element is a member of a list that has a name.
type element struct {
	name string
	rest any
}

// inLists compares lists whose members have names, one by one. Where a list reads as
// one thing, or only its order changes, it is the change.
func inLists(key string, a, b []element) []Change {
	var out []Change
	old, is := byName(a), byName(b)
	asOne := (key == "needs" || key == "targets") && !slices.Equal(names(a), names(b))
	if asOne {
		out = append(out, changed(key, names(a), names(b)))
	}
	for _, e := range a {
		if _, ok := is[e.name]; !ok && !asOne {
			out = append(out, changed(joined(key, e.name), brevity(key, e.rest).value, nil))
		}
	}
	for _, e := range b {
		if was, ok := old[e.name]; ok {
			out = append(out, changes(joined(key, e.name), was, e.rest)...)
		} else if !asOne {
			out = append(out, changed(joined(key, e.name), nil, brevity(key, e.rest).value))
		}
	}
	if len(out) == 0 && !slices.Equal(names(a), names(b)) {
		out = append(out, changed(key, names(a), names(b)))
	}
	return out
}

func byName(es []element) map[string]any {
	m := make(map[string]any, len(es))
	for _, e := range es {
		m[e.name] = e.rest
	}
	return m
}

func names(es []element) []string {
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = e.name
	}
	return out
}

// named reads a list of maps that each have a name of their own; nil when it is
// another thing. Nothing at all is an empty list.
func named(v any) []element {
	list, ok := v.([]any)
	if v != nil && !ok {
		return nil
	}
	out := make([]element, 0, len(list))
	seen := map[string]bool{}
	for _, item := range list {
		e, ok := nameOf(item)
		if !ok || seen[e.name] {
			return nil
		}
		seen[e.name] = true
		out = append(out, e)
	}
	return out
}

// nameOf finds what tells a member of a list from the others.
func nameOf(item any) (element, bool) {
	m, _ := item.(map[string]any)
	for _, k := range []string{"var", "stage", "template", "name"} {
		if name, ok := m[k].(string); ok {
			rest := maps.Clone(m)
			delete(rest, k)
			return element{name, rest}, true
		}
	}
	return element{}, false
}

// fields reads a map; nil when it is another thing. Nothing at all is an empty map.
func fields(v any) map[string]any {
	if v == nil {
		return map[string]any{}
	}
	m, _ := v.(map[string]any)
	return m
}

// short is a value as people know it. It may say less than the whole.
type short struct {
	value any
	ok    bool // it is all that matters, as a rule
}

// brevity is what stands for a part of a plan: a value or the expression for it, the
// answer of a condition, the type of an output.
func brevity(key string, v any) short {
	m, isMap := v.(map[string]any)
	list, isList := v.([]any)
	switch {
	case isList:
		return brevities(list)
	case !isMap:
		return short{v, true}
	case key == "if":
		return condition(m)
	case m["type"] != nil && len(m) == 1:
		return short{m["type"], true}
	case len(m) == 0:
		return short{true, false}
	case !only(m, "known", "expr", "depth", "artifact", "list"):
		return short{v, false}
	}
	if e, ok := m["expr"]; ok {
		return short{e, true}
	}
	known, ok := m["known"]
	return short{known, ok}
}

// brevities is a list of values.
func brevities(list []any) short {
	out := make([]any, len(list))
	for i, v := range list {
		s := brevity("", v)
		if !s.ok {
			return short{list, false}
		}
		out[i] = s.value
	}
	return short{out, true}
}

func condition(m map[string]any) short {
	if e, ok := m["expr"]; ok {
		return short{e, true}
	}
	return short{m["known"] == true, true}
}

// only reports whether m has no keys but these.
func only(m map[string]any, keys ...string) bool {
	for k := range m {
		if !slices.Contains(keys, k) {
			return false
		}
	}
	return true
}
