package expr

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/ast"
)

func (m *machine) arithmetic(n *ast.BinaryNode) (any, error) {
	set := setOf(Number)
	switch n.Operator {
	case "+":
		set = setOf(Number, Text, List)
	case "%":
		set = setOf(Int)
	}
	left, err := m.kind(n.Left, set, "the left side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	right, err := m.kind(n.Right, set, "the right side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	x, errX := numberOf(left)
	y, errY := numberOf(right)
	if errX != nil || errY != nil {
		v, err := m.joined(left, right)
		if err != nil {
			return nil, m.at(n, err)
		}
		return v, nil
	}
	return m.compute(n, x, y)
}

// joined adds two texts or two lists.
func (m *machine) joined(a, b any) (any, error) {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return m.longer(x, y)
		}
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok {
			return m.concat(x, y)
		}
	}
	ka, _ := kindOf(a)
	kb, _ := kindOf(b)
	return nil, &Error{Code: CodeType, Message: fmt.Sprintf("%s and %s cannot be added", ka, kb), Hint: "write string(…) round what is not text"}
}

func (m *machine) longer(a, b string) (any, error) {
	if err := m.room(len(a) + len(b)); err != nil {
		return nil, err
	}
	return a + b, nil
}

// room is asked before a text of so many bytes is made.
func (m *machine) room(bytes int) error {
	if bytes > MaxText {
		return &Error{Code: CodeLimit, Message: fmt.Sprintf("the text is longer than %d bytes", MaxText)}
	}
	return m.spend(1 + bytes/stepBytes)
}

// space is asked before a list of so many items is made.
func (m *machine) space(items int) error {
	if items > MaxList {
		return &Error{Code: CodeLimit, Message: fmt.Sprintf("the list has more than %d items", MaxList)}
	}
	return m.spend(1 + items)
}

func (m *machine) concat(a, b []any) (any, error) {
	if err := m.space(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]any, 0, len(a)+len(b)), a...), b...), nil
}

func (m *machine) compute(n *ast.BinaryNode, x, y number) (any, error) {
	if y.f == 0 && (n.Operator == "/" || n.Operator == "%") {
		return nil, m.fail(n, CodeValue, "test it first: divisor == 0 ? … : …", "%s divides by zero", m.text(n))
	}
	if x.whole && y.whole && n.Operator != "/" {
		return m.computeWhole(n, x.i, y.i)
	}
	var f float64
	switch n.Operator {
	case "+":
		f = x.f + y.f
	case "-":
		f = x.f - y.f
	case "*":
		f = float64(x.f * y.f) // the conversion forbids fusing, so that every machine rounds the same
	case "/":
		f = x.f / y.f
	}
	return m.checked(n, f)
}

// computeWhole relies on both sides being within ± 2^53: a sum cannot overflow, and a product is tried as float first.
func (m *machine) computeWhole(n *ast.BinaryNode, x, y int64) (any, error) {
	var i int64
	switch n.Operator {
	case "+":
		i = x + y
	case "-":
		i = x - y
	case "%":
		i = x % y
	case "*":
		if math.Abs(float64(x)*float64(y)) > 2*MaxExact {
			return nil, m.fail(n, CodeValue, "", "%s is beyond 2^53 and cannot be kept exactly", m.text(n))
		}
		i = x * y
	}
	return m.checked(n, int(i))
}

func (m *machine) sequence(n *ast.BinaryNode) (any, error) {
	from, err := m.number(n.Left, setOf(Int), "the left side of ..")
	if err != nil {
		return nil, err
	}
	to, err := m.number(n.Right, setOf(Int), "the right side of ..")
	if err != nil {
		return nil, err
	}
	size := max(to.i-from.i+1, 0)
	if err := m.space(int(min(size, MaxList+1))); err != nil {
		return nil, m.at(n, err)
	}
	items := make([]any, size)
	for i := range items {
		items[i] = int(from.i) + i
	}
	return items, nil
}
