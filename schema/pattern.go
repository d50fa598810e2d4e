package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
)

// The bounds of a parameter's pattern. A few letters can stand for millions of
// steps, as in (a{1,100}){1,10}, and each is taken for each letter of a text.
const (
	maxPattern = 1000       // bytes
	maxSteps   = 5000       // instructions of the compiled pattern
	maxMatch   = 50_000_000 // instructions times letters of one match
	maxAll     = 150_000    // instructions and letters of all patterns of a file
)

// pattern is a regular expression that whole texts must match.
type pattern struct {
	whole *regexp.Regexp
	steps int
	cost  int // what it takes to make: a class of letters is one step, and may be long
}

// compilePattern reads the pattern of a parameter, within its bounds.
func compilePattern(text string) (pattern, error) {
	if len(text) > maxPattern {
		return pattern{}, fmt.Errorf("it has %d bytes, more than the %d that are read", len(text), maxPattern)
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return pattern{}, faultOf(err)
	}
	parsed, err := syntax.Parse(`^(?:`+text+`)$`, syntax.Perl)
	if err != nil {
		return pattern{}, faultOf(err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return pattern{}, faultOf(err)
	}
	if len(program.Inst) > maxSteps {
		return pattern{steps: len(program.Inst), cost: len(program.Inst)}, errors.New("it repeats too much")
	}
	cost := len(program.Inst)
	for _, step := range program.Inst {
		cost += len(step.Rune) / 8
	}
	whole, err := regexp.Compile(`^(?:` + text + `)$`)
	return pattern{whole, len(program.Inst), cost}, err
}

// faultOf is what is wrong with a pattern, and where in it.
func faultOf(err error) error {
	var fault *syntax.Error
	if errors.As(err, &fault) {
		return fmt.Errorf("%s: `%s`", fault.Code, shorten(fault.Expr))
	}
	return err
}

// problem says why text does not match; it is empty when it does.
func (p pattern) problem(text, written string) string {
	switch {
	case len(text) > maxMatch/p.steps:
		return fmt.Sprintf("a text of %d bytes is too long for the pattern %s", len(text), shorten(written))
	case !p.whole.MatchString(text):
		return fmt.Sprintf("%q does not match the pattern %s", shorten(text), shorten(written))
	}
	return ""
}

// among reports whether v, or each item of a list, is one of those allowed.
func (p Param) among(v any) bool {
	list, isList := v.([]any)
	if text, isText := v.(string); isText {
		return slices.ContainsFunc(p.Enum, func(a any) bool { return a == text })
	}
	allowed := map[string]bool{}
	for _, a := range p.Enum {
		allowed[identity(a)] = true
	}
	if !isList {
		return allowed[identity(v)]
	}
	for _, item := range list {
		if !allowed[identity(item)] {
			return false
		}
	}
	return len(list) > 0
}

// identity is the same for equal values only: 1 and 1.0 are equal, 1 and "1" are not.
func identity(v any) string {
	if n, ok := number(v); ok {
		return "number " + plainNumber(n)
	}
	return fmt.Sprintf("%T %v", v, v)
}
