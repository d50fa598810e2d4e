package expr

import (
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (m *machine) name(n *ast.IdentifierNode) (any, error) {
	for i := len(m.locals) - 1; i >= 0; i-- {
		if m.locals[i].name == n.Value {
			return m.locals[i].value, nil
		}
	}
	if v, ok := m.values[n.Value]; ok {
		return v, nil
	}
	e := unknown(CodeName, "name", nil, n.Value, slices.DeleteFunc(sortedKeys(m.values), isCall))
	e.Offset, e.End = m.span(n)
	return nil, &e
}

func isCall(name string) bool { return strings.HasSuffix(name, "()") }

// chain is a?.b: what is absent on the way, or at the end, is nil.
func (m *machine) chain(n *ast.ChainNode) (any, error) {
	v, err := m.eval(n.Node)
	if _, gap := v.(missing); gap {
		return nil, err
	}
	return v, err
}

// member is a.b, a["b"] or a[1]. What is absent stays absent however far the path goes on, so that one ?? at the end
// gives a default for all of it.
func (m *machine) member(n *ast.MemberNode) (any, error) {
	if n.Method {
		return nil, m.fail(n, CodeSyntax, "write upper(x) or x | upper()", "a value has no functions of its own")
	}
	base, err := m.eval(n.Node)
	if err != nil {
		return nil, err
	}
	if gap, ok := base.(missing); ok {
		return m.further(n, gap)
	}
	switch x := base.(type) {
	case nil:
		return m.further(n, missing{m.path(n.Node)})
	case []any:
		return m.item(n, x)
	case map[string]any:
		return m.field(n, x)
	}
	k, _ := kindOf(base)
	return nil, m.fail(n, CodeType, "", "%s is %s, and has no parts", m.text(n.Node), k)
}

// further is the path to a part of what is missing.
func (m *machine) further(n *ast.MemberNode, gap missing) (any, error) {
	name, ok := n.Property.(*ast.StringNode)
	if !ok {
		return gap, nil
	}
	return missing{append(gap.path[:len(gap.path):len(gap.path)], name.Value)}, nil
}

func (m *machine) field(n *ast.MemberNode, fields map[string]any) (any, error) {
	name, err := m.kind(n.Property, setOf(Text), "the name of a field")
	if err != nil {
		return nil, err
	}
	if v, ok := fields[name.(string)]; ok {
		return v, nil
	}
	return missing{append(m.path(n.Node), name.(string))}, nil
}

func (m *machine) item(n *ast.MemberNode, items []any) (any, error) {
	at, err := m.number(n.Property, setOf(Int), "a place in a list")
	if err != nil {
		return nil, err
	}
	i := at.i
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return nil, m.fail(n.Property, CodeValue, "places are counted from 0, or from -1 at the end", "%s has %d items, and none at %d", m.text(n.Node), len(items), at.i)
	}
	return items[i], nil
}

// path is the path of names that n is made of, for a message; its source where it is something else.
func (m *machine) path(n ast.Node) []string {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		return []string{x.Value}
	case *ast.ChainNode:
		return m.path(x.Node)
	case *ast.MemberNode:
		if name, ok := x.Property.(*ast.StringNode); ok {
			return append(m.path(x.Node), name.Value)
		}
	case *ast.PointerNode:
		return []string{"#" + x.Name}
	}
	return []string{m.text(n)}
}

func (m *machine) slice(n *ast.SliceNode) (any, error) {
	base, err := m.kind(n.Node, setOf(List, Text), "what stands before [from:to]")
	if err != nil {
		return nil, err
	}
	runes, isText := []rune(nil), false
	size := 0
	switch x := base.(type) {
	case string:
		runes, isText = []rune(x), true
		size = len(runes)
		err = m.spend(len(x) / stepBytes)
	case []any:
		size = len(x)
	}
	if err != nil {
		return nil, m.at(n, err)
	}
	from, to, err := m.bounds(n, size)
	switch {
	case err != nil:
		return nil, err
	case isText:
		return string(runes[from:to]), nil
	}
	return base.([]any)[from:to:to], nil
}

// bounds are the ends of a slice, cut to what there is.
func (m *machine) bounds(n *ast.SliceNode, size int) (from, to int, err error) {
	from, to = 0, size
	if n.From != nil {
		if from, err = m.bound(n.From, size); err != nil {
			return 0, 0, err
		}
	}
	if n.To != nil {
		if to, err = m.bound(n.To, size); err != nil {
			return 0, 0, err
		}
	}
	return min(from, to), to, nil
}

func (m *machine) bound(n ast.Node, size int) (int, error) {
	at, err := m.number(n, setOf(Int), "a place in a list")
	if err != nil {
		return 0, err
	}
	i := min(max(at.i, math.MinInt32), math.MaxInt32)
	if i < 0 {
		i += int64(size)
	}
	return int(min(max(i, 0), int64(size))), nil
}
