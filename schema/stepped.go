package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/amlflow/amlflow/schema/diag"
)

var (
	keyLine  = regexp.MustCompile(`^( *)([\w.-]+|"[^"]*"|'[^']*'):(?: |$)`)
	bareLine = regexp.MustCompile(`^( *)([\w.-]+) *$`)
	noBlank  = regexp.MustCompile(`^( *)([a-z_]+):([^\s/:].*)$`)
)

// stepped recognises why YAML sees a second ": " in a value when the line at fault
// has only one: the line before it begins a value that goes on, for want of a colon
// or of a space, or this one is indented too deep.
func (s *Source) stepped(at diag.Pos) (diag.Finding, bool) {
	here := keyLine.FindStringSubmatch(s.Line(at.Line))
	if here == nil || at.Col != utf8.RuneCountInString(here[1]+here[2])+1 {
		return diag.Finding{}, false
	}
	n := at.Line - 1
	for n > 0 && idle(s.Line(n)) {
		n--
	}
	before := s.Line(n)
	found := func(line, col, width int, what, hint string) (diag.Finding, bool) {
		f := s.finding(diag.Pos{File: s.Name, Line: line, Col: col}, "yaml-syntax", "this is not YAML: "+what, hint)
		f.Width = width
		return f, true
	}
	if m := bareLine.FindStringSubmatch(before); m != nil {
		return found(n, len(m[1])+1, len(m[2]), fmt.Sprintf(`a ":" is missing after %q`, m[2]), fmt.Sprintf("write %s:", m[2]))
	}
	if m := noBlank.FindStringSubmatch(before); m != nil {
		return found(n, len(m[1])+1, len(m[2])+1, fmt.Sprintf(`a space is missing after "%s:"`, m[2]), fmt.Sprintf("write %s: %s", m[2], shorten(m[3])))
	}
	if m := keyLine.FindStringSubmatch(before); m != nil && len(m[1]) < len(here[1]) {
		return found(at.Line, len(here[1])+1, utf8.RuneCountInString(here[2]), "this key is indented deeper than the one above it, which has a value already",
			fmt.Sprintf("indent it with %d spaces, like %q on line %d", len(m[1]), m[2], n))
	}
	return diag.Finding{}, false
}

// idle reports whether a line holds nothing, or only a comment.
func idle(line string) bool {
	text := strings.TrimSpace(line)
	return text == "" || strings.HasPrefix(text, "#")
}
