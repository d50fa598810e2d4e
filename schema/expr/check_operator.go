package expr

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

func (c *checker) unary(n *ast.UnaryNode) Type {
	if n.Operator == "-" || n.Operator == "+" {
		return c.want(n.Node, setOf(Number), "what stands after "+n.Operator)
	}
	c.want(n.Node, setOf(Bool), "what stands after "+n.Operator)
	return Type{Kind: Bool}
}

func (c *checker) binary(n *ast.BinaryNode) Type {
	if n.Operator == "-" && c.hyphenated(n) {
		return Type{}
	}
	switch n.Operator {
	case "??":
		return c.coalesce(n)
	case "and", "&&", "or", "||":
		c.want(n.Left, setOf(Bool), "the left side of "+n.Operator)
		c.want(n.Right, setOf(Bool), "the right side of "+n.Operator)
		return Type{Kind: Bool}
	case "==", "!=":
		return c.equality(n)
	case "<", "<=", ">", ">=":
		return c.ordering(n)
	case "+", "-", "*", "/", "%":
		return c.arithmetic(n)
	case "..":
		c.want(n.Left, setOf(Int), "the left side of ..")
		c.want(n.Right, setOf(Int), "the right side of ..")
		return Type{Kind: List, Elem: &Type{Kind: Int}}
	case "in":
		return c.membership(n)
	case "matches":
		return c.matches(n)
	case "contains", "startsWith", "endsWith":
		c.want(n.Left, setOf(Text), "the left side of "+n.Operator)
		c.want(n.Right, setOf(Text), "the right side of "+n.Operator)
		return Type{Kind: Bool}
	}
	return c.fail(n, CodeSyntax, "write x * x", "%s is not available", n.Operator)
}

func (c *checker) coalesce(n *ast.BinaryNode) Type {
	c.defaulted++
	left := c.check(n.Left)
	c.defaulted--
	return join(left, c.check(n.Right))
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

func (c *checker) equality(n *ast.BinaryNode) Type {
	if isNil(n.Left) || isNil(n.Right) {
		c.defaulted++
		defer func() { c.defaulted-- }()
	}
	left, right := c.check(n.Left), c.check(n.Right)
	if !comparable(left, right) {
		c.fail(n, CodeType, literalCure(n, left, right), "%s and %s are never equal", left, right)
	}
	return Type{Kind: Bool}
}

func comparable(a, b Type) bool {
	switch {
	case a.Kind == Any || b.Kind == Any || a.Kind == Nothing || b.Kind == Nothing:
		return true
	case a.isNumber() && b.isNumber():
		return true
	case a.isArtifact() && b.isArtifact():
		return a.Takes(b) || b.Takes(a)
	}
	return a.Kind == b.Kind
}

func (c *checker) ordering(n *ast.BinaryNode) Type {
	left := c.want(n.Left, setOf(Number, Text), "the left side of "+n.Operator)
	right := c.want(n.Right, setOf(Number, Text), "the right side of "+n.Operator)
	mixed := left.isNumber() && right.Kind == Text || left.Kind == Text && right.isNumber()
	if mixed {
		cure := literalCure(n, left, right)
		if cure == "" {
			cure = "write int(…) or float(…) round the text"
		}
		c.fail(n, CodeType, cure, "%s cannot be compared with %s", left, right)
	}
	return Type{Kind: Bool}
}

// literalCure is for a value that is compared with a literal of another type, when only quotes are wrong.
func literalCure(n *ast.BinaryNode, left, right Type) string {
	literal, other := n.Right, left
	if _, isText := n.Left.(*ast.StringNode); isText || isNumeral(n.Left) {
		literal, other = n.Left, right
	}
	text, isText := literal.(*ast.StringNode)
	switch {
	case isText && other.isNumber() && numeral.MatchString(text.Value), isText && other.Kind == Bool && (text.Value == "true" || text.Value == "false"):
		return fmt.Sprintf("write %s without quotes", text.Value)
	case isNumeral(literal) && other.Kind == Text:
		return "put the number in quotes"
	}
	return ""
}

var numeral = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func isNumeral(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	}
	return false
}

func (c *checker) arithmetic(n *ast.BinaryNode) Type {
	if n.Operator == "+" {
		return c.plus(n)
	}
	set := setOf(Number)
	if n.Operator == "%" {
		set = setOf(Int)
	}
	left := c.want(n.Left, set, "the left side of "+n.Operator)
	right := c.want(n.Right, set, "the right side of "+n.Operator)
	switch {
	case n.Operator == "%" || n.Operator != "/" && left.Kind == Int && right.Kind == Int:
		return Type{Kind: Int}
	}
	return Type{Kind: Number}
}

func (c *checker) plus(n *ast.BinaryNode) Type {
	left := c.want(n.Left, setOf(Number, Text, List), "the left side of +")
	right := c.want(n.Right, setOf(Number, Text, List), "the right side of +")
	switch {
	case left.Kind == Any || right.Kind == Any:
		return Type{}
	case left.isNumber() && right.isNumber(), left.Kind == List && right.Kind == List, left.Kind == right.Kind:
		return join(left, right)
	case left.isArtifact() || right.isArtifact() || !setOf(Number, Text, List).has(left.Kind) || !setOf(Number, Text, List).has(right.Kind):
		return Type{} // reported already
	}
	return c.fail(n, CodeType, "write string(…) round what is not text", "%s and %s cannot be added", left, right)
}

func (c *checker) membership(n *ast.BinaryNode) Type {
	left := c.check(n.Left)
	right := c.want(n.Right, setOf(List, Object), "the right side of in")
	switch {
	case right.Kind == List && !comparable(left, right.elem()):
		c.fail(n, CodeType, "", "%s is never in %s", left, right)
	case right.Kind == Object && !setOf(Text).has(left.Kind):
		c.fail(n.Left, CodeType, "", "the name of a field is text, and this is %s", left)
	}
	return Type{Kind: Bool}
}

func (c *checker) matches(n *ast.BinaryNode) Type {
	c.want(n.Left, setOf(Text), "the left side of matches")
	if err := patternError(n); err != nil {
		c.fail(n.Right, CodeSyntax, err.Hint, "%s", err.Message)
	}
	return Type{Kind: Bool}
}

// patternError looks at the pattern of `matches`, which must be written out so that its cost is known.
func patternError(n *ast.BinaryNode) *Error {
	text, ok := n.Right.(*ast.StringNode)
	switch {
	case !ok:
		return &Error{Message: "the pattern of matches is written out, between quotes", Hint: "write it in the expression, or use contains, startsWith, endsWith or =="}
	case len(text.Value) > maxPattern:
		return &Error{Message: fmt.Sprintf("the pattern of matches is longer than %d bytes", maxPattern)}
	}
	size, err := patternSize(text.Value)
	if err != nil {
		return &Error{Message: fmt.Sprintf("the pattern %q cannot be read: %s", text.Value, patternFault(err)), Hint: "patterns are written as in https://golang.org/s/re2syntax"}
	}
	if size > maxCompiled {
		return &Error{Message: "the pattern of matches repeats too much", Hint: "use smaller counts between { and }"}
	}
	return nil
}

// patternFault is the reason without the pattern, which the message has already.
func patternFault(err error) string {
	var fault *syntax.Error
	if errors.As(err, &fault) {
		return fault.Code.String()
	}
	return err.Error()
}

// patternSize is the number of instructions of a compiled pattern: matching costs at most that many a byte.
func patternSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

func compilePattern(pattern string) (*regexp.Regexp, int, error) {
	size, err := patternSize(pattern)
	if err != nil {
		return nil, 0, err
	}
	compiled, err := regexp.Compile(pattern)
	return compiled, size, err
}
