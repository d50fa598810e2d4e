package expr

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// span is where a node stands in the source. The parser keeps one token of each node, an operator's for what it
// joins, so the ends are looked for down both sides; brackets that only group are taken in where one end needs them.
func (t *tree) span(n ast.Node) (from, to int) {
	from = t.offset(n.Location().From)
	for left := n; left != nil; left = leftOf(left) {
		from = min(from, t.offset(left.Location().From))
	}
	return t.balanced(from, max(t.end(n), from))
}

func leftOf(n ast.Node) ast.Node {
	switch x := n.(type) {
	case *ast.BinaryNode:
		return x.Left
	case *ast.MemberNode:
		return x.Node
	case *ast.ChainNode:
		return x.Node
	case *ast.SliceNode:
		return x.Node
	case *ast.ConditionalNode:
		return x.Cond
	case *ast.BuiltinNode:
		if len(x.Arguments) > 0 {
			return x.Arguments[0]
		}
	}
	return nil
}

// end is the offset after the last token of a node.
func (t *tree) end(n ast.Node) int {
	to := t.offset(n.Location().To)
	switch x := n.(type) {
	case *ast.BinaryNode:
		return max(to, t.end(x.Right))
	case *ast.UnaryNode:
		return max(to, t.end(x.Node))
	case *ast.ConditionalNode:
		return t.end(x.Exp2)
	case *ast.VariableDeclaratorNode:
		return max(to, t.end(x.Expr))
	case *ast.ChainNode:
		return t.end(x.Node)
	case *ast.MemberNode:
		return t.memberEnd(x)
	case *ast.ArrayNode, *ast.MapNode, *ast.SliceNode:
		return t.closing(t.offset(n.Location().From))
	case *ast.BuiltinNode, *ast.CallNode:
		return t.closing(to)
	}
	return to
}

// memberEnd is the offset after .name or [index]; a member in brackets carries the place of its opening one, or of the name.
func (t *tree) memberEnd(n *ast.MemberNode) int {
	loc := n.Location()
	if from := t.offset(loc.From); from < len(t.src) && t.src[from] == '[' {
		return t.closing(from)
	}
	return t.offset(loc.To)
}

// closing is the offset after the bracket that closes the one at i, where only spaces may come before that one.
func (t *tree) closing(i int) int {
	at := i + len(t.src[i:]) - len(strings.TrimLeft(t.src[i:], " \t\r\n"))
	if at >= len(t.src) || !strings.ContainsRune("([{", rune(t.src[at])) {
		return i
	}
	depth := 0
	for at < len(t.src) {
		switch t.src[at] {
		case '"', '\'', '`':
			if at = skipQuoted(t.src, at); at < 0 {
				return i
			}
			continue
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return at + 1
			}
		}
		at++
	}
	return i
}

// balanced widens a span over grouping brackets of which it holds only one.
func (t *tree) balanced(from, to int) (int, int) {
	open, lowest := 0, 0
	for i := from; i < to; i++ {
		switch t.src[i] {
		case '"', '\'', '`':
			if end := skipQuoted(t.src, i); end > 0 {
				i = end - 1
			}
		case '(':
			open++
		case ')':
			open--
			lowest = min(lowest, open)
		}
	}
	for ; lowest < 0; lowest++ {
		before := strings.TrimRight(t.src[:from], " \t\r\n")
		if !strings.HasSuffix(before, "(") {
			break
		}
		from = len(before) - 1
		open++
	}
	for ; open > 0; open-- {
		after := strings.TrimLeft(t.src[to:], " \t\r\n")
		if !strings.HasPrefix(after, ")") {
			break
		}
		to = len(t.src) - len(after) + 1
	}
	return from, to
}

// text is the source of a node, for messages; shortened when it is long.
func (t *tree) text(n ast.Node) string {
	if p, ok := n.(*ast.PointerNode); ok {
		return "#" + p.Name
	}
	from, to := t.span(n)
	text := t.src[from:to]
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:77], "") + "…"
	}
	return text
}
