package expr

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/expr-lang/expr/ast"
)

// checker finds the type of every node, and every mistake that can be told without values.
type checker struct {
	*tree
	scope     Scope
	seen      map[ast.Node]Type // chained comparisons share a node: a < b < c
	locals    []local           // names bound by let, innermost last
	items     []itemTypes       // what # means, innermost last
	defaulted int               // how many ?? and the like stand around the current node
	errors    []Error
	refs      []Ref
	calls     []string
	moment    Moment
}

type local struct {
	name string
	typ  Type
}

type itemTypes struct{ item, acc Type }

func newChecker(t *tree, scope Scope) *checker {
	return &checker{tree: t, scope: scope, seen: map[ast.Node]Type{}}
}

func (c *checker) sorted() []Error {
	sort.SliceStable(c.errors, func(i, j int) bool { return c.errors[i].Offset < c.errors[j].Offset })
	return c.errors
}

// fail reports a mistake at n. Its type is then taken as anything, so that one mistake is one error.
func (c *checker) fail(n ast.Node, code, hint, format string, args ...any) Type {
	from, to := c.span(n)
	c.errors = append(c.errors, Error{Offset: from, End: to, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
	return Type{}
}

// result compares the type of the whole expression with what its place wants.
func (c *checker) result(root ast.Node, got, want Type) {
	if len(c.errors) > 0 || want.Takes(got) {
		return
	}
	c.fail(root, CodeType, resultHint(got, want), "this is %s, and %s is wanted here", got, want)
}

func resultHint(got, want Type) string {
	switch {
	case want.Kind == Int && got.Kind == Number:
		return "write round(…), floor(…) or int(…)"
	case want.isNumber() && got.Kind == Text:
		return "write int(…) or float(…) if the text is a number"
	case want.Kind == Text && (got.isNumber() || got.Kind == Bool):
		return "write string(…)"
	case want.Kind == Bool && got.Kind != Nothing:
		return "compare it with something: … == …"
	}
	return ""
}

func (c *checker) check(n ast.Node) Type {
	if t, ok := c.seen[n]; ok {
		return t
	}
	t := c.visit(n)
	c.seen[n] = t
	return t
}

func (c *checker) visit(n ast.Node) Type {
	switch x := n.(type) {
	case *ast.NilNode:
		return Type{Kind: Nothing}
	case *ast.BoolNode:
		return Type{Kind: Bool}
	case *ast.StringNode:
		return Type{Kind: Text}
	case *ast.FloatNode:
		return c.float(x)
	case *ast.IntegerNode:
		return c.integer(x)
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		return c.reference(n)
	case *ast.PointerNode:
		return c.pointer(x)
	case *ast.UnaryNode:
		return c.unary(x)
	case *ast.BinaryNode:
		return c.binary(x)
	case *ast.SliceNode:
		return c.slice(x)
	case *ast.ConditionalNode:
		return c.conditional(x)
	case *ast.VariableDeclaratorNode:
		return c.declaration(x)
	case *ast.ArrayNode:
		return c.array(x)
	case *ast.MapNode:
		return c.object(x)
	case *ast.BuiltinNode:
		return c.call(x, x.Name, x.Arguments)
	case *ast.CallNode:
		return c.callNode(x)
	case *ast.SequenceNode:
		return c.fail(n, CodeSyntax, "only `let name = …;` may come before it", "an expression has one result, and here there are %d", len(x.Nodes))
	}
	return c.fail(n, CodeSyntax, "", "this kind of value is not part of the language")
}

func (c *checker) integer(n *ast.IntegerNode) Type {
	if n.Value > MaxExact {
		return c.fail(n, CodeSyntax, "write it as text, between quotes", "a whole number beyond 2^53 cannot be kept exactly")
	}
	return Type{Kind: Int}
}

func (c *checker) float(n *ast.FloatNode) Type {
	if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
		return c.fail(n, CodeSyntax, "", "this number is too large")
	}
	return Type{Kind: Number}
}

func (c *checker) pointer(n *ast.PointerNode) Type {
	if len(c.items) == 0 {
		return c.fail(n, CodeSyntax, "", "# has a meaning only inside all, filter, map and the like")
	}
	now := c.items[len(c.items)-1]
	switch n.Name {
	case "":
		return now.item
	case "index":
		return Type{Kind: Int}
	case "acc":
		return now.acc
	}
	return c.fail(n, CodeSyntax, "there is #, #index and, in reduce, #acc", "#%s has no meaning", n.Name)
}

func (c *checker) slice(n *ast.SliceNode) Type {
	base := c.check(n.Node)
	for _, bound := range []ast.Node{n.From, n.To} {
		if bound != nil {
			c.want(bound, setOf(Int), "a place in a list")
		}
	}
	if !setOf(List, Text).has(base.Kind) {
		return c.fail(n.Node, CodeType, "", "[from:to] takes a list or text, and this is %s", base)
	}
	return base
}

// want checks that n has a kind of the set; what names the thing for the message.
func (c *checker) want(n ast.Node, set kinds, what string) Type {
	t := c.check(n)
	if !set.has(t.Kind) {
		c.fail(n, CodeType, "", "%s is %s, and this is %s", what, set, t)
	}
	return t
}

func (c *checker) conditional(n *ast.ConditionalNode) Type {
	c.want(n.Cond, setOf(Bool), "what stands before ?")
	return join(c.check(n.Exp1), c.check(n.Exp2))
}

func (c *checker) declaration(n *ast.VariableDeclaratorNode) Type {
	value := c.check(n.Value)
	_, taken := c.scope.Names[n.Name]
	if taken || slices.ContainsFunc(c.locals, func(l local) bool { return l.name == n.Name }) {
		c.fail(n, CodeSyntax, "choose another name", "the name %q is taken already", n.Name)
	}
	c.locals = append(c.locals, local{n.Name, value})
	result := c.check(n.Expr)
	c.locals = c.locals[:len(c.locals)-1]
	return result
}

func (c *checker) array(n *ast.ArrayNode) Type {
	elem, empty := Type{Kind: Nothing}, false
	for _, item := range n.Nodes {
		t := c.check(item)
		empty = empty || t.Kind == Nothing
		elem = join(elem, t)
	}
	if empty || len(n.Nodes) == 0 { // an item that is nothing is of no item's type
		elem = Type{}
	}
	return Type{Kind: List, Elem: &elem}
}

func (c *checker) object(n *ast.MapNode) Type {
	fields := map[string]Type{}
	for _, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		key, constant := pair.Key.(*ast.StringNode)
		value := c.check(pair.Value)
		switch {
		case !constant:
			c.want(pair.Key, setOf(Text), "the key of an object")
			fields = nil
		case fields != nil:
			fields[key.Value] = value
		}
	}
	return Type{Kind: Object, Fields: fields}
}

func (c *checker) callNode(n *ast.CallNode) Type {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.fail(n, CodeSyntax, "write upper(x) or x | upper()", "a value has no functions of its own")
	}
	if slices.Contains(c.scope.Functions, name.Value) {
		return c.scopeCall(n, name.Value)
	}
	return c.call(n, name.Value, n.Arguments)
}

func (c *checker) scopeCall(n *ast.CallNode, name string) Type {
	if len(n.Arguments) > 0 {
		return c.fail(n, CodeSyntax, fmt.Sprintf("write %s()", name), "%s() takes nothing between its brackets", name)
	}
	if !slices.Contains(c.calls, name) {
		c.calls = append(c.calls, name)
	}
	c.moment = RunTime
	return Type{Kind: Bool, Moment: RunTime}
}
