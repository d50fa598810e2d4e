package expr

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// machine walks a tree over values. Every node costs a step, and whatever reads or makes something large costs more,
// so that an evaluation ends whatever it is.
type machine struct {
	*tree
	values map[string]any
	steps  int
	locals []binding
	items  []item
}

type binding struct {
	name  string
	value any
}

// item is what # stands for inside all, filter, map and the like.
type item struct {
	value, acc any
	index      int
}

// missing stands for a reference that has no value. It becomes an error as soon as something uses it.
type missing struct{ path []string }

func newMachine(t *tree, values map[string]any) *machine {
	return &machine{tree: t, values: values}
}

// spend takes steps from the budget.
func (m *machine) spend(steps int) error {
	m.steps += steps
	if m.steps > MaxSteps {
		return &Error{Code: CodeLimit, Message: fmt.Sprintf("the expression takes more than %d steps", MaxSteps), Hint: "compute it in a stage and pass the result on as an output"}
	}
	return nil
}

// fail is an error at n.
func (m *machine) fail(n ast.Node, code, hint, format string, args ...any) error {
	from, to := m.span(n)
	return &Error{Offset: from, End: to, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// at gives an error that has no place yet the place of n.
func (m *machine) at(n ast.Node, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return m.fail(n, CodeValue, "", "%s", err)
	}
	if e.End == 0 {
		e.Offset, e.End = m.span(n)
	}
	return e
}

// value evaluates n and wants a value; one that is missing is an error that names the reference.
func (m *machine) value(n ast.Node) (any, error) {
	v, err := m.eval(n)
	if err != nil {
		return nil, err
	}
	if gap, ok := v.(missing); ok {
		return nil, m.missing(n, gap)
	}
	return v, nil
}

func (m *machine) missing(n ast.Node, gap missing) error {
	path := pathText(gap.path)
	from, to := m.span(n)
	last := len(gap.path) - 1
	return &Error{Offset: from, End: to, Code: CodeMissing, Message: path + " has no value", Parent: gap.path[:last], Name: gap.path[last],
		Hint: fmt.Sprintf("nothing has set it in this run; write (%s ?? default) to go on without it", path)}
}

// kind evaluates n and wants a value of the set; what names its place in the message.
func (m *machine) kind(n ast.Node, set kinds, what string) (any, error) {
	v, err := m.value(n)
	if err != nil {
		return nil, err
	}
	k, ok := kindOf(v)
	if !ok {
		return nil, m.unusable(n, v)
	}
	if !set.has(k) {
		return nil, m.fail(n, CodeType, "", "%s is %s, and %s is %s", what, set, m.text(n), k)
	}
	return v, nil
}

func (m *machine) unusable(n ast.Node, v any) error {
	if _, err := numberOf(v); err != nil {
		return m.fail(n, CodeValue, "", "%s cannot be used: %s", m.text(n), err)
	}
	return m.fail(n, CodeValue, "", "%s cannot be used", m.text(n))
}

func (m *machine) number(n ast.Node, set kinds, what string) (number, error) {
	v, err := m.kind(n, set, what)
	if err != nil {
		return number{}, err
	}
	return numberOf(v)
}

func (m *machine) truth(n ast.Node, what string) (bool, error) {
	v, err := m.kind(n, setOf(Bool), what)
	if err != nil {
		return false, err
	}
	return v.(bool), nil
}

// eval gives the value of n, which may be missing.
func (m *machine) eval(n ast.Node) (any, error) {
	if err := m.spend(1); err != nil {
		return nil, m.at(n, err)
	}
	switch x := n.(type) {
	case *ast.NilNode:
		return nil, nil
	case *ast.BoolNode:
		return x.Value, nil
	case *ast.StringNode:
		return x.Value, nil
	case *ast.IntegerNode:
		return m.checked(n, x.Value)
	case *ast.FloatNode:
		return m.checked(n, x.Value)
	case *ast.IdentifierNode:
		return m.name(x)
	case *ast.ChainNode:
		return m.chain(x)
	case *ast.MemberNode:
		return m.member(x)
	case *ast.PointerNode:
		return m.pointer(x)
	case *ast.UnaryNode:
		return m.unary(x)
	case *ast.BinaryNode:
		return m.binary(x)
	case *ast.SliceNode:
		return m.slice(x)
	case *ast.ConditionalNode:
		return m.conditional(x)
	case *ast.VariableDeclaratorNode:
		return m.declaration(x)
	case *ast.ArrayNode:
		return m.array(x)
	case *ast.MapNode:
		return m.object(x)
	case *ast.BuiltinNode:
		return m.call(x, x.Name, x.Arguments)
	case *ast.CallNode:
		return m.callNode(x)
	}
	return nil, m.fail(n, CodeSyntax, "", "this kind of value is not part of the language")
}

// checked lets a number through when it is finite and exact.
func (m *machine) checked(n ast.Node, v any) (any, error) {
	x, err := numberOf(v)
	if err != nil {
		return nil, m.fail(n, CodeValue, "", "%s cannot be computed: %s", m.text(n), err)
	}
	return x.value(), nil
}

func (m *machine) pointer(n *ast.PointerNode) (any, error) {
	if len(m.items) == 0 {
		return nil, m.fail(n, CodeSyntax, "", "# has a meaning only inside all, filter, map and the like")
	}
	now := m.items[len(m.items)-1]
	switch n.Name {
	case "":
		return now.value, nil
	case "index":
		return now.index, nil
	case "acc":
		return now.acc, nil
	}
	return nil, m.fail(n, CodeSyntax, "there is #, #index and, in reduce, #acc", "#%s has no meaning", n.Name)
}

func (m *machine) conditional(n *ast.ConditionalNode) (any, error) {
	yes, err := m.truth(n.Cond, "what stands before ?")
	switch {
	case err != nil:
		return nil, err
	case yes:
		return m.eval(n.Exp1)
	}
	return m.eval(n.Exp2)
}

func (m *machine) declaration(n *ast.VariableDeclaratorNode) (any, error) {
	v, err := m.eval(n.Value)
	if err != nil {
		return nil, err
	}
	m.locals = append(m.locals, binding{n.Name, v})
	result, err := m.eval(n.Expr)
	m.locals = m.locals[:len(m.locals)-1]
	return result, err
}

func (m *machine) array(n *ast.ArrayNode) (any, error) {
	items := make([]any, len(n.Nodes))
	for i, node := range n.Nodes {
		v, err := m.value(node)
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

func (m *machine) object(n *ast.MapNode) (any, error) {
	fields := make(map[string]any, len(n.Pairs))
	for _, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		key, err := m.kind(pair.Key, setOf(Text), "the key of an object")
		if err != nil {
			return nil, err
		}
		if fields[key.(string)], err = m.value(pair.Value); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (m *machine) callNode(n *ast.CallNode) (any, error) {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return nil, m.fail(n, CodeSyntax, "write upper(x) or x | upper()", "a value has no functions of its own")
	}
	if v, ok := m.values[name.Value+"()"]; ok {
		return v, nil
	}
	if name.Value == "always" {
		return true, nil
	}
	return m.call(n, name.Value, n.Arguments)
}
