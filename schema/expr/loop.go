package expr

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// loop is a function that evaluates its second argument for every item of its first, such as filter(list, # > 1).
type loop struct {
	body  kinds // what the body gives
	gives func(list, body Type) Type
	run   func(m *machine, w walk) (any, error)
}

// walk is a loop that is about to run: do evaluates the body for one item.
type walk struct {
	items []any
	do    func(i int, acc any) (any, error)
	bare  bool // there is no body: the item itself is taken
	extra []any
}

var loops = map[string]loop{
	"all":       {body: setOf(Bool), gives: boolLoop, run: quantified(func(yes, total int) bool { return yes == total })},
	"any":       {body: setOf(Bool), gives: boolLoop, run: quantified(func(yes, total int) bool { return yes > 0 })},
	"none":      {body: setOf(Bool), gives: boolLoop, run: quantified(func(yes, total int) bool { return yes == 0 })},
	"one":       {body: setOf(Bool), gives: boolLoop, run: quantified(func(yes, total int) bool { return yes == 1 })},
	"count":     {body: setOf(Bool), gives: intLoop, run: countItems},
	"filter":    {body: setOf(Bool), gives: sameList, run: filterItems},
	"find":      {body: setOf(Bool), gives: func(l, _ Type) Type { return l.elem() }, run: findItem},
	"findIndex": {body: setOf(Bool), gives: intLoop, run: findIndex},
	"map":       {body: anyKind, gives: func(_, b Type) Type { return Type{Kind: List, Elem: &b} }, run: mapItems},
	"sum":       {body: setOf(Number), gives: func(_, b Type) Type { return b }, run: sumItems},
	"sortBy":    {body: setOf(Number, Text), gives: sameList, run: sortItems},
	"groupBy":   {body: setOf(Text), gives: func(l, _ Type) Type { return Type{Kind: Object, Elem: &l} }, run: groupItems},
	"reduce":    {body: anyKind, gives: func(_, _ Type) Type { return Type{} }, run: reduceItems},
}

func boolLoop(_, _ Type) Type { return Type{Kind: Bool} }
func intLoop(_, _ Type) Type  { return Type{Kind: Int} }
func sameList(l, _ Type) Type { return l }

// loop checks a loop: its body sees the items' type as #.
func (c *checker) loop(n ast.Node, name string, l loop, args []ast.Node) Type {
	if len(args) == 0 {
		return c.fail(n, CodeSyntax, "", "%s() needs a list", name)
	}
	over := c.check(args[0])
	if !list.has(over.Kind) {
		c.fail(args[0], CodeType, "", "%s() takes a list, and this is %s", name, over)
		over = Type{}
	}
	for _, extra := range args[min(2, len(args)):] {
		c.check(extra)
	}
	body := over.elem()
	if len(args) > 1 {
		c.items = append(c.items, itemTypes{item: over.elem()})
		body = c.check(bodyOf(args[1]))
		c.items = c.items[:len(c.items)-1]
		if !l.body.has(body.Kind) {
			c.fail(bodyOf(args[1]), CodeType, "", "what %s() computes for each item is %s, and this is %s", name, l.body, body)
		}
	}
	return l.gives(over, body)
}

func bodyOf(n ast.Node) ast.Node {
	if p, ok := n.(*ast.PredicateNode); ok {
		return p.Node
	}
	return n
}

func (m *machine) loop(n ast.Node, name string, l loop, args []ast.Node) (any, error) {
	if len(args) == 0 {
		return nil, m.fail(n, CodeSyntax, "", "%s() needs a list", name)
	}
	over, err := m.kind(args[0], list, "what "+name+"() takes")
	if err != nil {
		return nil, err
	}
	w := walk{items: over.([]any), bare: len(args) == 1}
	if w.extra, err = m.extra(args); err != nil {
		return nil, err
	}
	w.do = m.body(name, l, args, w)
	v, err := l.run(m, w)
	if err != nil {
		return nil, m.at(n, err)
	}
	return v, nil
}

func (m *machine) extra(args []ast.Node) ([]any, error) {
	var out []any
	for _, arg := range args[min(2, len(args)):] {
		v, err := m.value(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// body evaluates what a loop computes for item i; every turn costs a step.
func (m *machine) body(name string, l loop, args []ast.Node, w walk) func(int, any) (any, error) {
	if w.bare {
		return func(i int, _ any) (any, error) { return w.items[i], m.spend(1) }
	}
	node := bodyOf(args[1])
	what := "what " + name + "() computes for each item"
	return func(i int, acc any) (any, error) {
		if err := m.spend(1); err != nil {
			return nil, err
		}
		m.items = append(m.items, item{value: w.items[i], acc: acc, index: i})
		v, err := m.kind(node, l.body, what)
		m.items = m.items[:len(m.items)-1]
		return v, err
	}
}

// quantified counts the items for which the body is true. It looks at all of them, so that an error in one is an
// error whatever the order.
func quantified(decide func(yes, total int) bool) func(*machine, walk) (any, error) {
	return func(m *machine, w walk) (any, error) {
		yes, err := countItems(m, w)
		if err != nil {
			return nil, err
		}
		return decide(yes.(int), len(w.items)), nil
	}
}

func countItems(_ *machine, w walk) (any, error) {
	yes := 0
	for i := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		if v == true {
			yes++
		}
	}
	return yes, nil
}

func filterItems(_ *machine, w walk) (any, error) {
	out := []any{}
	for i, item := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		if v == true {
			out = append(out, item)
		}
	}
	return out, nil
}

// findItem is the first item for which the body is true, or nil.
func findItem(m *machine, w walk) (any, error) {
	at, err := findIndex(m, w)
	if err != nil || at.(int) < 0 {
		return nil, err
	}
	return w.items[at.(int)], nil
}

func findIndex(_ *machine, w walk) (any, error) {
	for i := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		if v == true {
			return i, nil
		}
	}
	return -1, nil
}

func mapItems(_ *machine, w walk) (any, error) {
	out := make([]any, len(w.items))
	for i := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func sumItems(m *machine, w walk) (any, error) {
	total := number{whole: true}
	for i := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		n, err := numberOf(v)
		if err != nil {
			return nil, fmt.Errorf("item %d of the list is not a number that can be used", i)
		}
		if total, err = total.plus(n); err != nil {
			return nil, err
		}
	}
	return total.value(), nil
}

func (n number) plus(o number) (number, error) {
	if n.whole && o.whole {
		return wholeNumber(n.i + o.i)
	}
	return floatNumber(n.f + o.f)
}

func sortItems(m *machine, w walk) (any, error) {
	down, err := descending(w.extra)
	if err != nil {
		return nil, err
	}
	keys, err := mapItems(m, w)
	if err != nil {
		return nil, err
	}
	order, err := m.order(keys.([]any), down)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(order))
	for i, at := range order {
		out[i] = w.items[at]
	}
	return out, nil
}

func groupItems(_ *machine, w walk) (any, error) {
	groups := map[string]any{}
	for i, item := range w.items {
		v, err := w.do(i, nil)
		if err != nil {
			return nil, err
		}
		group, _ := groups[v.(string)].([]any)
		groups[v.(string)] = append(group, item)
	}
	return groups, nil
}

// reduceItems starts with the third argument, or with the first item.
func reduceItems(_ *machine, w walk) (any, error) {
	start := 0
	var acc any
	switch {
	case len(w.extra) > 0:
		acc = w.extra[0]
	case len(w.items) == 0:
		return nil, fmt.Errorf("the list is empty, and there is no value to start with")
	default:
		acc, start = w.items[0], 1
	}
	for i := start; i < len(w.items); i++ {
		v, err := w.do(i, acc)
		if err != nil {
			return nil, err
		}
		acc = v
	}
	return acc, nil
}
