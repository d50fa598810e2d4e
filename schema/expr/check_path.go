package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// reference checks a name and what follows it, and records the longest path of constant names.
func (c *checker) reference(n ast.Node) Type {
	chain, optional := n.(*ast.ChainNode)
	if optional {
		c.defaulted++
		defer func() { c.defaulted-- }()
		n = chain.Node
	}
	typ, path := c.walk(n)
	if len(path) > 0 {
		c.record(n, path, typ)
	}
	return typ
}

// walk gives the type of a reference and its path; the path is empty when the value does not come straight from
// the scope.
func (c *checker) walk(n ast.Node) (Type, []string) {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		return c.name(x)
	case *ast.MemberNode:
		return c.member(x)
	case *ast.ChainNode:
		return c.walk(x.Node)
	}
	return c.check(n), nil
}

func (c *checker) name(n *ast.IdentifierNode) (Type, []string) {
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == n.Value {
			return c.locals[i].typ, nil
		}
	}
	if t, ok := c.scope.Names[n.Value]; ok {
		return t, []string{n.Value}
	}
	c.unknownName(n, nil, Type{Fields: c.scope.Names}, n.Value)
	return Type{}, nil
}

func (c *checker) member(n *ast.MemberNode) (Type, []string) {
	base, path := c.walk(n.Node)
	name, constant := n.Property.(*ast.StringNode)
	if !constant {
		if len(path) > 0 {
			c.record(n.Node, path, base)
		}
		return c.index(n, base), nil
	}
	field, ok := c.field(n, base, path, name)
	if !ok || path == nil {
		return field, nil
	}
	return field, append(slices.Clone(path), name.Value)
}

func (c *checker) field(n *ast.MemberNode, base Type, path []string, name *ast.StringNode) (Type, bool) {
	switch base.Kind {
	case Any:
		return Type{Moment: base.Moment}, true
	case Object:
	default:
		c.fail(name, CodeType, "", "%s has no field %q: it is %s", c.text(n.Node), name.Value, base)
		return Type{}, false
	}
	if base.Fields == nil {
		elem := base.elem()
		elem.Moment = max(elem.Moment, base.Moment)
		return elem, true
	}
	field, ok := base.Fields[name.Value]
	if !ok {
		c.unknownName(name, path, base, name.Value)
		return Type{}, false
	}
	field.Moment = max(field.Moment, base.Moment)
	return field, true
}

// index checks base[i] where i is not a constant name.
func (c *checker) index(n *ast.MemberNode, base Type) Type {
	at := c.check(n.Property)
	switch {
	case base.Kind == Any:
		return Type{}
	case base.Kind == List && setOf(Int).has(at.Kind), base.Kind == Object && base.Fields == nil && setOf(Text).has(at.Kind):
		return base.elem()
	case base.Kind == List:
		return c.fail(n.Property, CodeType, "", "a place in a list is a whole number, and this is %s", at)
	case base.Kind == Object && base.Fields != nil:
		return c.fail(n.Property, CodeType, "write the name itself, as in "+c.text(n.Node)+`["name"]`, "a name that is computed cannot be checked before the run")
	case base.Kind == Object:
		return c.fail(n.Property, CodeType, "", "the name of a field is text, and this is %s", at)
	}
	return c.fail(n.Property, CodeType, "", "%s is %s, and has no parts", c.text(n.Node), base)
}

func (c *checker) record(n ast.Node, path []string, typ Type) {
	from, to := c.span(n)
	moment := typ.latest()
	c.refs = append(c.refs, Ref{Path: path, Offset: from, End: to, Moment: moment, Defaulted: c.defaulted > 0})
	c.moment = max(c.moment, moment)
}

// unknownName reports a name that base does not hold.
func (c *checker) unknownName(n ast.Node, path []string, base Type, name string) {
	loc := n.Location()
	e := unknown(CodeName, "name", path, name, base.known())
	e.Offset, e.End = c.offset(loc.From), c.offset(loc.To)
	if name == "$env" {
		e.Message, e.Hint = "$env is not available", "name the value itself, as in params.rows"
	}
	c.errors = append(c.errors, e)
}

// hyphenated catches stages.train-a, which reads as a subtraction. It reports the mistake and says true when the
// left side of the subtraction names nothing and a hyphen follows it without a space.
func (c *checker) hyphenated(n *ast.BinaryNode) bool {
	member, name := lastName(leftmost(n))
	if member == nil {
		return false
	}
	base, path := c.quietly(member.Node)
	start := c.offset(name.Location().From)
	full := nameRun(c.src[start:])
	if base.Kind != Object || base.Fields == nil || !strings.HasPrefix(full, name.Value+"-") {
		return false
	}
	if !hasField(base, full) && (hasField(base, name.Value) || c.subtracts(full)) {
		return false
	}
	e := unknown(CodeName, "name", path, full, base.known())
	e.Offset, e.End = start, start+len(full)
	e.Hint = fmt.Sprintf("a name with a hyphen is written in brackets: %s[%q]", pathText(path), full)
	if hasField(base, full) {
		e.Code, e.Message = CodeSyntax, fmt.Sprintf("%q reads as a subtraction here", full)
	}
	c.errors = append(c.errors, e)
	return true
}

// lastName gives the end of a reference that is made of names only, or nil. Anything else below it would be checked
// once more for every subtraction around it.
func lastName(n ast.Node) (*ast.MemberNode, *ast.StringNode) {
	last, ok := n.(*ast.MemberNode)
	if !ok {
		return nil, nil
	}
	var at ast.Node = last
	for {
		member, ok := at.(*ast.MemberNode)
		if !ok {
			break
		}
		if _, constant := member.Property.(*ast.StringNode); !constant {
			return nil, nil
		}
		at = member.Node
	}
	if _, ok := at.(*ast.IdentifierNode); !ok {
		return nil, nil
	}
	return last, last.Property.(*ast.StringNode)
}

// subtracts says whether what follows the last hyphen is a number or a name of the scope, so that a subtraction was meant.
func (c *checker) subtracts(full string) bool {
	last := full[strings.LastIndexByte(full, '-')+1:]
	_, known := c.scope.Names[last]
	return known || strings.Trim(last, "0123456789") == ""
}

func hasField(t Type, name string) bool {
	_, ok := t.Fields[name]
	return ok
}

// quietly walks a reference made of names without keeping what it reports.
func (c *checker) quietly(n ast.Node) (Type, []string) {
	probe := newChecker(c.tree, c.scope)
	probe.locals, probe.items = c.locals, c.items
	return probe.walk(n)
}

// leftmost goes down the left side of subtractions: a-b-c is (a-b)-c.
func leftmost(n *ast.BinaryNode) ast.Node {
	var left ast.Node = n
	for {
		b, ok := left.(*ast.BinaryNode)
		if !ok || b.Operator != "-" {
			return left
		}
		left = b.Left
	}
}

// nameRun is the longest name with hyphens at the start of text.
func nameRun(text string) string {
	end := 0
	for end < len(text) && (isNameByte(text[end]) || text[end] == '-') {
		end++
	}
	return strings.TrimRight(text[:end], "-")
}
