package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// tree is an expression that has been read, and what is needed to say where its parts stand.
type tree struct {
	src   string
	runes []int // byte offset of each rune; nil when every rune is one byte
	root  ast.Node
}

// parse reads src. Size and nesting are looked at first, so that no text can exhaust the stack of the parser.
func parse(src string) (*tree, *Error) {
	t := &tree{src: src}
	if err := t.admit(); err != nil {
		return nil, err
	}
	parsed, err := parser.ParseWithConfig(src, &conf.Config{MaxNodes: MaxNodes, DisableIfOperator: true})
	if err != nil {
		return nil, t.syntaxError(err)
	}
	t.root = parsed.Node
	return t, nil
}

func (t *tree) admit() *Error {
	switch {
	case len(t.src) > MaxSource:
		return &Error{Offset: MaxSource, End: len(t.src), Code: CodeLimit, Message: fmt.Sprintf("the expression is longer than %d bytes", MaxSource),
			Hint: "compute it in a stage and pass the result on as an output"}
	case !utf8.ValidString(t.src):
		return &Error{Code: CodeSyntax, Message: "the expression is not valid UTF-8"}
	case strings.TrimSpace(t.src) == "":
		return &Error{Code: CodeSyntax, Message: "the expression is empty", Hint: "write a value, such as ${{ params.rows }}"}
	}
	t.indexRunes()
	if at := comment(t.src); at >= 0 {
		return &Error{Offset: at, End: at + 2, Code: CodeSyntax, Message: "an expression cannot hold a comment", Hint: "write the comment in the YAML, after a #"}
	}
	tokens, err := lexer.Lex(file.NewSource(t.src))
	if err != nil {
		return t.syntaxError(err)
	}
	return t.nesting(tokens)
}

func (t *tree) indexRunes() {
	if utf8.RuneCountInString(t.src) == len(t.src) {
		return
	}
	for i := range t.src {
		t.runes = append(t.runes, i)
	}
}

func (t *tree) nesting(tokens []lexer.Token) *Error {
	depth := 0
	for _, token := range tokens {
		if token.Kind != lexer.Bracket {
			continue
		}
		if !strings.Contains("([{", token.Value) {
			depth--
			continue
		}
		if depth++; depth > MaxDepth {
			return &Error{Offset: t.offset(token.From), End: t.offset(token.To), Code: CodeLimit,
				Message: fmt.Sprintf("more than %d brackets are open at once", MaxDepth), Hint: "split the expression with let name = …;"}
		}
	}
	return nil
}

// offset turns the parser's rune index into a byte offset.
func (t *tree) offset(runeIndex int) int {
	if t.runes == nil {
		return min(max(runeIndex, 0), len(t.src))
	}
	if runeIndex >= len(t.runes) {
		return len(t.src)
	}
	return t.runes[max(runeIndex, 0)]
}

// comment finds the start of a comment outside of texts, or says -1.
func comment(src string) int {
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case '"', '\'', '`':
			end := skipQuoted(src, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '/':
			if i+1 < len(src) && (src[i+1] == '/' || src[i+1] == '*') {
				return i
			}
		}
	}
	return -1
}

// skipQuoted gives the offset after the text that opens at i, or -1 when it is not closed. Only a raw text, between
// backquotes, may hold a line break; there a doubled backquote stands for one, and nothing else is special.
func skipQuoted(src string, i int) int {
	quote := src[i]
	for i++; i < len(src); i++ {
		switch {
		case src[i] == '\\' && quote != '`':
			i++
		case src[i] == '\n' && quote != '`':
			return -1
		case src[i] == quote && quote == '`' && i+1 < len(src) && src[i+1] == quote:
			i++
		case src[i] == quote:
			return i + 1
		}
	}
	return -1
}

var unexpectedToken = regexp.MustCompile(`unexpected token (\w+)`)

// syntaxError says in plain words what the parser reports in its own.
func (t *tree) syntaxError(err error) *Error {
	var fault *file.Error
	if !errors.As(err, &fault) {
		return &Error{Code: CodeSyntax, Message: "the expression cannot be read"}
	}
	e := &Error{Offset: t.offset(fault.From), End: t.offset(fault.To), Code: CodeSyntax}
	e.Message, e.Hint = t.plainWords(fault.Message, e)
	if strings.Contains(fault.Message, "maximum allowed nodes") {
		e.Code, e.Offset, e.End = CodeLimit, 0, len(t.src)
	}
	return e
}

func (t *tree) plainWords(message string, e *Error) (words, hint string) {
	if m := unexpectedToken.FindStringSubmatch(message); m != nil && !strings.Contains(message, "map key") {
		return t.unexpected(m[1], e)
	}
	switch {
	case strings.Contains(message, "unexpected end"):
		return t.unexpected("EOF", e)
	case strings.Contains(message, "maximum allowed nodes"):
		return fmt.Sprintf("the expression has more than %d parts", MaxNodes), "compute it in a stage and pass the result on as an output"
	case strings.Contains(message, "literal not terminated"):
		if at := openQuote(t.src); at >= 0 {
			e.Offset, e.End = at, at+1
		}
		return "the text that starts here is not closed", "end it with the same quote"
	case strings.Contains(message, "coalesce"):
		return "?? stands beside another operator, and it is not plain which goes first", "put brackets round it: (a ?? b) >= c"
	case strings.Contains(message, "unrecognized character"):
		word, cure := t.src[e.Offset:e.End], ""
		if strings.Contains("“”„«»‘’‚`´", word) {
			cure = `write straight quotes: "…"`
		}
		return fmt.Sprintf("%q has no meaning in an expression", word), cure
	case strings.Contains(message, "bad number"):
		return "this number cannot be read", "a name that starts with a digit is written in brackets: stages[\"2nd\"]"
	case strings.Contains(message, "invalid char escape") || strings.Contains(message, "unable to unescape"):
		return `a backslash in a text is followed by something unknown`, `write \\ for a backslash`
	case strings.Contains(message, "literal"):
		return "this number is too large or cannot be read", ""
	case strings.Contains(message, "wrap predicate"):
		return "a condition made of several steps needs braces", "write filter(list, { let x = #; x > 1 })"
	case strings.Contains(message, "map key"):
		return "a key of an object is a quoted text, a name or a number", `write {"key": value}`
	case strings.Contains(message, "expected name"):
		return "a name is missing after the dot", ""
	case strings.Contains(message, "arguments"):
		return "this function needs more arguments", ""
	}
	return "the expression cannot be read here", ""
}

// cures for what people bring along from other languages.
var cures = map[string]string{
	"=": "compare with ==", "&": "write && or and", "|": "write || or or", "then": "write condition ? one : other",
	"contains": `write text contains "part"`, "startsWith": `write text startsWith "part"`, "endsWith": `write text endsWith "part"`,
	"AND": "write && or and", "OR": "write || or or", "NOT": "write ! or not", "is": "compare with ==", "!=": "compare with !=",
	"if": "write condition ? one : other", "else": "write condition ? one : other", "::": "write the name alone",
}

func (t *tree) unexpected(kind string, e *Error) (words, hint string) {
	if kind == "EOF" {
		e.Offset, e.End = len(t.src), len(t.src)
		return "the expression ends too early", "something is missing at its end"
	}
	word := t.src[e.Offset:e.End]
	hint, ok := cures[word]
	if before := strings.Fields(t.src[:e.Offset]); !ok && len(before) > 0 {
		hint = cures[before[len(before)-1]]
	}
	return fmt.Sprintf("%q is not expected here", word), hint
}

// openQuote finds the quote of the first text that is not closed.
func openQuote(src string) int {
	for i := 0; i < len(src); i++ {
		if src[i] != '"' && src[i] != '\'' && src[i] != '`' {
			continue
		}
		end := skipQuoted(src, i)
		if end < 0 {
			return i
		}
		i = end - 1
	}
	return -1
}
