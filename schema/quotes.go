package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// cutShort is the finding for an expression without quotes that a "#" in it ends: to
// YAML a "#" behind a blank begins a comment. It is false for every other text.
func (s *Source) cutShort(path string) (diag.Finding, bool) {
	v, _, _ := s.walk(path)
	if v == nil {
		return diag.Finding{}, false
	}
	n := v.node()
	if !n.is(yaml.ScalarNode) || n.style != 0 || !isExpression(n.value) {
		return diag.Finding{}, false
	}
	_, end, ok := s.unfold(n)
	from := end
	for ok && end < len(s.data) && blank(s.data[end]) {
		end++
	}
	if !ok || end == from || end >= len(s.data) || s.data[end] != '#' {
		return diag.Finding{}, false
	}
	at := s.posAt(end)
	last := s.lines[at.Line-1].end
	rest := string(s.data[end:last])
	closing := strings.LastIndex(rest, "}}")
	if closing < 0 {
		return diag.Finding{}, false // a comment that was meant as one
	}
	text := n.value + string(s.data[from:end]) + rest[:closing+2]
	f := s.finding(at, "expression", "to YAML this # begins a comment, because a blank stands before it, and the expression ends there",
		"put the value in quotes: "+quoted(text))
	f.Path, f.Width = path, 1
	return f, true
}

var (
	// aroundExpression is an expression in quotes with the same quotes inside.
	aroundExpression = regexp.MustCompile(`"\$\{\{[^"]*"[^{}]*\}\}"|'\$\{\{[^']*'[^{}]*\}\}'`)

	// aroundValue is a whole value in quotes, up to the end of its line.
	aroundValue = regexp.MustCompile(`^ *(?:- +)*(?:[\w.-]+: +)?("(?:[^"\\]|\\.)*".*"|'[^']*'.*') *$`)
)

// quotesInside recognises quotes inside of the same quotes: YAML takes the second for
// the end of the value.
func (s *Source) quotesInside(at diag.Pos) (diag.Finding, bool) {
	line := s.Line(at.Line)
	spans := aroundExpression.FindAllStringIndex(line, -1)
	if m := aroundValue.FindStringSubmatchIndex(line); m != nil {
		spans = append(spans, m[2:4])
	}
	for _, span := range spans {
		text := line[span[0]:span[1]]
		second := closes(text)
		col := utf8.RuneCountInString(line[:span[0]]) + 1
		if second < 0 || at.Col <= col || at.Col > col+utf8.RuneCountInString(text) {
			continue
		}
		inner := text[1 : len(text)-1]
		f := s.finding(diag.Pos{File: s.Name, Line: at.Line, Col: col + utf8.RuneCountInString(text[:second])}, "yaml-syntax",
			fmt.Sprintf("this is not YAML: the quote %c ends the value that one like it began", text[0]), "write "+otherQuotes(text[0], inner))
		f.Width = 1
		return f, true
	}
	return diag.Finding{}, false
}

// closes is where the quote that text begins with is closed, when that is not its end.
func closes(text string) int {
	for i := 1; i < len(text)-1; i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] == text[0] && text[0] == '\'' && text[i+1] == '\'':
			i++
		case text[i] == text[0]:
			return i
		}
	}
	return -1
}

// otherQuotes writes a text, which stood in quotes of one kind, in those of the other.
func otherQuotes(quote byte, inner string) string {
	if quote == '"' {
		return "'" + strings.ReplaceAll(inner, "'", "''") + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(inner) + `"`
}

// openBracket recognises a bracket that was to be closed on a line before the one
// where the parser stopped, because a key begins there.
func (s *Source) openBracket(message string, at, opened diag.Pos) (diag.Finding, bool) {
	if opened.Line == 0 || opened.Line >= at.Line || !strings.Contains(message, "parsing a flow") {
		return diag.Finding{}, false
	}
	n := at.Line - 1
	for n > opened.Line && idle(s.Line(n)) {
		n--
	}
	before := strings.TrimRight(s.Line(n), " ")
	if !keyLine.MatchString(s.Line(at.Line)) || strings.HasSuffix(before, ",") {
		return diag.Finding{}, false
	}
	closing := "}"
	if strings.Contains(message, "sequence") {
		closing = "]"
	}
	f := s.finding(diag.Pos{File: s.Name, Line: n, Col: utf8.RuneCountInString(before) + 1}, "yaml-syntax", "this is not YAML: "+plainWords(message),
		fmt.Sprintf("write %s here, or a comma if more follows: the bracket was opened on line %d, column %d", closing, opened.Line, opened.Col))
	return f, true
}

// doubleQuoted reports whether the scalar at path stands in double quotes.
func (s *Source) doubleQuoted(path string) bool {
	v, _, _ := s.walk(path)
	return v != nil && v.node().is(yaml.ScalarNode) && v.node().styled(yaml.DoubleQuotedStyle)
}
