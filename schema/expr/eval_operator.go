package expr

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (m *machine) unary(n *ast.UnaryNode) (any, error) {
	what := "what stands after " + n.Operator
	if n.Operator != "-" && n.Operator != "+" {
		yes, err := m.truth(n.Node, what)
		return !yes, err
	}
	x, err := m.number(n.Node, setOf(Number), what)
	if err != nil || n.Operator == "+" {
		return x.value(), err
	}
	if x.whole {
		return int(-x.i), nil
	}
	return -x.f, nil
}

func (m *machine) binary(n *ast.BinaryNode) (any, error) {
	switch n.Operator {
	case "??":
		return m.coalesce(n)
	case "and", "&&":
		return m.logic(n, false)
	case "or", "||":
		return m.logic(n, true)
	case "==", "!=":
		same, err := m.equality(n)
		return same == (n.Operator == "=="), err
	case "<", "<=", ">", ">=":
		return m.ordering(n)
	case "+", "-", "*", "/", "%":
		return m.arithmetic(n)
	case "..":
		return m.sequence(n)
	case "in":
		return m.membership(n)
	case "matches":
		return m.matches(n)
	case "contains", "startsWith", "endsWith":
		return m.textTest(n)
	}
	return nil, m.fail(n, CodeSyntax, "write x * x", "%s is not available", n.Operator)
}

func (m *machine) coalesce(n *ast.BinaryNode) (any, error) {
	v, err := m.eval(n.Left)
	if err != nil {
		return nil, err
	}
	if _, gap := v.(missing); gap || v == nil {
		return m.eval(n.Right)
	}
	return v, nil
}

// logic is `and`, which is decided by false, or `or`, which is decided by true.
func (m *machine) logic(n *ast.BinaryNode, decided bool) (any, error) {
	left, err := m.truth(n.Left, "the left side of "+n.Operator)
	if err != nil || left == decided {
		return left, err
	}
	return m.truth(n.Right, "the right side of "+n.Operator)
}

func (m *machine) membership(n *ast.BinaryNode) (any, error) {
	left, err := m.value(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := m.kind(n.Right, setOf(List, Object), "the right side of in")
	if err != nil {
		return nil, err
	}
	if fields, ok := right.(map[string]any); ok {
		name, isText := left.(string)
		_, found := fields[name]
		return isText && found, nil
	}
	for _, item := range right.([]any) {
		same, err := m.equal(left, item)
		if err != nil {
			return nil, m.at(n, err)
		}
		if same {
			return true, nil
		}
	}
	return false, nil
}

func (m *machine) matches(n *ast.BinaryNode) (any, error) {
	text, err := m.kind(n.Left, setOf(Text), "the left side of matches")
	if err != nil {
		return nil, err
	}
	if e := patternError(n); e != nil {
		return nil, m.fail(n.Right, CodeSyntax, e.Hint, "%s", e.Message)
	}
	subject := text.(string)
	if len(subject) > maxMatched {
		return nil, m.fail(n.Left, CodeLimit, "", "matches takes at most %d bytes of text", maxMatched)
	}
	pattern, size, err := compilePattern(n.Right.(*ast.StringNode).Value)
	if err == nil {
		err = m.spend(10 + size + len(subject)*size/100)
	}
	if err != nil {
		return nil, m.at(n, err)
	}
	return pattern.MatchString(subject), nil
}

func (m *machine) textTest(n *ast.BinaryNode) (any, error) {
	left, err := m.kind(n.Left, setOf(Text), "the left side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	right, err := m.kind(n.Right, setOf(Text), "the right side of "+n.Operator)
	if err != nil {
		return nil, err
	}
	text, part := left.(string), right.(string)
	if err := m.spend(len(text) / stepBytes); err != nil {
		return nil, m.at(n, err)
	}
	switch n.Operator {
	case "contains":
		return strings.Contains(text, part), nil
	case "startsWith":
		return strings.HasPrefix(text, part), nil
	}
	return strings.HasSuffix(text, part), nil
}
