package expr

import (
	"strings"
	"unicode"
)

const (
	opening = "${{"
	ending  = "}}"
)

// Template is text with ${{ … }} in it, cut into literal parts and expressions, in the order of the text. Offsets
// are bytes into that text. A ${{ that is meant as such is written ${{ "${{" }}.
type Template struct{ Parts []Part }

// Part is a literal or an expression of a Template.
type Part struct {
	Literal    string // empty for an expression
	Expr       string // the source without the spaces around it; empty for a literal
	Offset     int    // where Expr starts
	Start, End int    // the whole part, with ${{ and }}
}

// Split cuts text into its parts. A }} inside a text of the expression, or closing braces that the expression itself
// opened, do not end it. With errors, the parts that could be told apart are still given.
func Split(text string) (Template, []Error) {
	s := splitter{text: text}
	for s.next() {
	}
	return Template{Parts: s.parts}, s.errors
}

type splitter struct {
	text   string
	at     int // what stands before has been cut
	parts  []Part
	errors []Error
}

// next cuts one literal and one expression, and says whether there may be more.
func (s *splitter) next() bool {
	found := strings.Index(s.text[s.at:], opening)
	if found < 0 {
		s.literal(len(s.text))
		return false
	}
	start := s.at + found
	s.literal(start)
	end, fault := closingBraces(s.text, start+len(opening))
	if fault != nil {
		s.errors = append(s.errors, *fault)
		return s.recover(start)
	}
	s.expression(start, end)
	s.at = end
	return true
}

func (s *splitter) literal(end int) {
	if end > s.at {
		s.parts = append(s.parts, Part{Literal: s.text[s.at:end], Start: s.at, End: end})
	}
	s.at = end
}

func (s *splitter) expression(start, end int) {
	inner := s.text[start+len(opening) : end-len(ending)]
	source := strings.TrimSpace(inner)
	offset := start + len(opening) + len(inner) - len(strings.TrimLeftFunc(inner, unicode.IsSpace))
	if source == "" {
		s.errors = append(s.errors, Error{Offset: start, End: end, Code: CodeSyntax, Message: "the expression is empty",
			Hint: "write a value between the braces, such as ${{ params.rows }}"})
		return
	}
	s.parts = append(s.parts, Part{Expr: source, Offset: offset, Start: start, End: end})
}

// recover goes on after the nearest }} so that the expressions behind a broken one are looked at too.
func (s *splitter) recover(start int) bool {
	after := strings.Index(s.text[start:], ending)
	if after < 0 {
		s.at = len(s.text)
		return false
	}
	s.at = start + after + len(ending)
	return true
}

// closingBraces gives the offset after the }} that ends the expression whose source starts at i.
func closingBraces(text string, i int) (int, *Error) {
	start, depth := i-len(opening), 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\'' || c == '`':
			end := skipQuoted(text, i)
			if end < 0 {
				return 0, &Error{Offset: i, End: i + 1, Code: CodeSyntax, Message: "the text that starts here is not closed", Hint: "end it with the same quote before }}"}
			}
			i = end
			continue
		case strings.HasPrefix(text[i:], opening):
			return 0, unclosed(start)
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case strings.HasPrefix(text[i:], ending):
			return i + len(ending), nil
		}
		i++
	}
	return 0, unclosed(start)
}

func unclosed(start int) *Error {
	return &Error{Offset: start, End: start + len(opening), Code: CodeSyntax, Message: "the ${{ that starts here is not closed", Hint: "end the expression with }}"}
}

// IsLiteral says that there is no expression in the text.
func (t Template) IsLiteral() bool {
	for _, p := range t.Parts {
		if p.Expr != "" {
			return false
		}
	}
	return true
}

// Single gives the only part of a text that is one expression with nothing around it. The value of such a text
// keeps its type; any other text with expressions is text.
func (t Template) Single() (Part, bool) {
	if len(t.Parts) == 1 && t.Parts[0].Expr != "" {
		return t.Parts[0], true
	}
	return Part{}, false
}

// Expressions gives the parts that are expressions.
func (t Template) Expressions() []Part {
	var out []Part
	for _, p := range t.Parts {
		if p.Expr != "" {
			out = append(out, p)
		}
	}
	return out
}

// EvalTemplate computes a text with expressions: the value itself for a Single one, otherwise the text in which each
// expression is replaced by its value as Format writes it. Offsets in the error are bytes into the template's text.
func EvalTemplate(t Template, values map[string]any) (any, error) {
	if p, ok := t.Single(); ok {
		return evalPart(p, values)
	}
	var b strings.Builder
	for _, p := range t.Parts {
		piece := p.Literal
		if p.Expr != "" {
			v, err := evalPart(p, values)
			if err != nil {
				return nil, err
			}
			if piece, err = Format(v); err != nil {
				return nil, placed(err, p)
			}
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

func evalPart(p Part, values map[string]any) (any, error) {
	v, err := Eval(p.Expr, values)
	if err != nil {
		return nil, placed(err, p)
	}
	return v, nil
}

// placed gives an error its place in the text around the expression.
func placed(err error, p Part) error {
	e, ok := err.(*Error)
	if !ok {
		return &Error{Offset: p.Offset, End: p.Offset + len(p.Expr), Code: CodeValue, Message: err.Error()}
	}
	moved := e.shifted(p.Offset)
	return &moved
}
