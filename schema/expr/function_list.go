package expr

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

var list = setOf(List)

var listFunctions = map[string]function{
	"len":     {takes: []kinds{setOf(Text, List, Object)}, required: 1, gives: always(Type{Kind: Int}), apply: length},
	"first":   {takes: []kinds{list}, required: 1, gives: elemOf, apply: func(m *machine, a []any) (any, error) { return end(a[0].([]any), 0) }},
	"last":    {takes: []kinds{list}, required: 1, gives: elemOf, apply: func(m *machine, a []any) (any, error) { return end(a[0].([]any), -1) }},
	"take":    {takes: []kinds{list, setOf(Int)}, required: 2, gives: same, apply: take},
	"reverse": {takes: []kinds{list}, required: 1, gives: same, apply: reverse},
	"sort":    {takes: []kinds{list, text}, required: 1, gives: same, apply: sortList},
	"uniq":    {takes: []kinds{list}, required: 1, gives: same, apply: uniq},
	"concat":  {takes: []kinds{list}, required: 1, more: true, gives: joined, apply: concat},
}

func elemOf(args []Type) Type { return args[0].elem() }

func joined(args []Type) Type {
	result := args[0]
	for _, t := range args[1:] {
		result = join(result, t)
	}
	return result
}

// length counts characters, items or fields.
func length(m *machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case string:
		return utf8.RuneCountInString(x), m.spend(len(x) / stepBytes)
	case []any:
		return len(x), nil
	case map[string]any:
		return len(x), nil
	}
	return nil, fmt.Errorf("it has no length")
}

func end(items []any, at int) (any, error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("the list is empty")
	}
	if at < 0 {
		at += len(items)
	}
	return items[at], nil
}

func take(_ *machine, args []any) (any, error) {
	items := args[0].([]any)
	n, err := numberOf(args[1])
	if err != nil {
		return nil, err
	}
	if n.i < 0 {
		return nil, fmt.Errorf("take() takes a number of items, and %d is less than none", n.i)
	}
	count := int(min(n.i, int64(len(items))))
	return items[:count:count], nil
}

func reverse(m *machine, args []any) (any, error) {
	if err := m.space(len(args[0].([]any))); err != nil {
		return nil, err
	}
	items := slices.Clone(args[0].([]any))
	slices.Reverse(items)
	return items, nil
}

func sortList(m *machine, args []any) (any, error) {
	down, err := descending(args[1:])
	if err != nil {
		return nil, err
	}
	return m.sorted(args[0].([]any), down)
}

// descending reads the order that sort and sortBy take last.
func descending(args []any) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case "asc":
		return false, nil
	case "desc":
		return true, nil
	}
	return false, fmt.Errorf(`the order is "asc" or "desc", and not %s`, clip(fmt.Sprint(args[0])))
}

// sorted is a sorted copy of a list of numbers or of texts.
func (m *machine) sorted(items []any, down bool) ([]any, error) {
	order, err := m.order(items, down)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, at := range order {
		out[i] = items[at]
	}
	return out, nil
}

// order says which item comes first, second and so on; equal ones stay as they are.
func (m *machine) order(keys []any, down bool) ([]int, error) {
	if err := m.space(len(keys)); err != nil {
		return nil, err
	}
	if err := m.spend(sortCost(len(keys))); err != nil {
		return nil, err
	}
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(a, b int) int {
		if failed != nil {
			return 0
		}
		if down {
			a, b = b, a
		}
		result, err := m.compare(keys[a], keys[b])
		failed = err
		return result
	})
	return order, failed
}

// uniq keeps the first of equal items. It compares their JSON, which is the same for 1 and 1.0.
func uniq(m *machine, args []any) (any, error) {
	seen, out := map[string]bool{}, []any{}
	for _, item := range args[0].([]any) {
		key, err := m.written(item, func(w *writer, v any) error { return w.json(v, 0) })
		if err != nil {
			return nil, err
		}
		if !seen[key.(string)] {
			seen[key.(string)] = true
			out = append(out, item)
		}
	}
	return out, nil
}

func concat(m *machine, args []any) (any, error) {
	total := 0
	for _, arg := range args {
		total += len(arg.([]any))
	}
	if err := m.space(total); err != nil {
		return nil, err
	}
	out := make([]any, 0, total)
	for _, arg := range args {
		out = append(out, arg.([]any)...)
	}
	return out, nil
}
