package expr

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// equality compares two values; only a comparison with a written nil may meet one that is missing.
func (m *machine) equality(n *ast.BinaryNode) (bool, error) {
	read := m.value
	if isNil(n.Left) || isNil(n.Right) {
		read = m.eval
	}
	left, err := read(n.Left)
	if err != nil {
		return false, err
	}
	right, err := read(n.Right)
	if err != nil {
		return false, err
	}
	same, err := m.equal(present(left), present(right))
	if err != nil {
		return false, m.at(n, err)
	}
	return same, nil
}

func present(v any) any {
	if _, gap := v.(missing); gap {
		return nil
	}
	return v
}

// equal compares deeply; each part that is looked at costs a step, because lists can share their parts.
func (m *machine) equal(a, b any) (bool, error) {
	if err := m.spend(1); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case bool:
		y, ok := b.(bool)
		return ok && x == y, nil
	case string:
		y, ok := b.(string)
		return ok && x == y, m.spend(min(len(x), len(y)) / stepBytes)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		return m.equalLists(x, y)
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		return m.equalObjects(x, y)
	}
	x, err := numberOf(a)
	if err != nil {
		return false, err
	}
	y, err := numberOf(b)
	return err == nil && x.equal(y), nil
}

func (m *machine) equalLists(a, b []any) (bool, error) {
	for i := range a {
		same, err := m.equal(a[i], b[i])
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// equalObjects goes through the names in order, so that the steps, and any error, are the same every time.
func (m *machine) equalObjects(a, b map[string]any) (bool, error) {
	if err := m.spend(len(a)); err != nil {
		return false, err
	}
	for _, name := range sortedKeys(a) {
		other, ok := b[name]
		if !ok {
			return false, nil
		}
		same, err := m.equal(a[name], other)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (m *machine) ordering(n *ast.BinaryNode) (any, error) {
	set := setOf(Number, Text)
	left, err := m.kind(n.Left, set, "the left side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	right, err := m.kind(n.Right, set, "the right side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	order, err := m.compare(left, right)
	if err != nil {
		return nil, m.at(n, err)
	}
	switch n.Operator {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}

// compare orders two numbers or two texts.
func (m *machine) compare(a, b any) (int, error) {
	x, isText := a.(string)
	y, bothText := b.(string)
	if isText && bothText {
		return strings.Compare(x, y), m.spend(min(len(x), len(y)) / stepBytes)
	}
	ka, _ := kindOf(a)
	kb, _ := kindOf(b)
	if !setOf(Number).has(ka) || !setOf(Number).has(kb) || isText || bothText {
		return 0, &Error{Code: CodeType, Message: fmt.Sprintf("%s cannot be compared with %s", ka, kb)}
	}
	left, err := numberOf(a)
	if err != nil {
		return 0, err
	}
	right, err := numberOf(b)
	switch {
	case err != nil:
		return 0, err
	case left.less(right):
		return -1, nil
	case right.less(left):
		return 1, nil
	}
	return 0, nil
}
