package schema

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml4 "go.yaml.in/yaml/v4"

	"github.com/amlflow/amlflow/schema/diag"
)

// syntax says where the parser stopped and why. The parser's own errors have no
// column and often the wrong line, so a newer one reads the file again for the
// marks of its errors. Read is how many bytes the first one has looked at.
func (s *Source) syntax(err error, read int) diag.Finding {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	at, opened := s.lineIn(message), diag.Pos{}
	if f, ok := s.anchorIn(message, at); ok {
		return f
	}
	if m, ok := s.secondOpinion(read); ok {
		if f, ok := s.anchorIn(m.message, at); ok { // it takes more for an alias
			return f
		}
		at, opened, message = s.posOfRune(m.at), s.posOfRune(m.context), m.message
		if m.context < 0 {
			opened = diag.Pos{}
		}
	}
	if f, ok := s.unquoted(at, opened); ok {
		return f
	}
	if strings.Contains(message, "mapping values") {
		if f, ok := s.stepped(at); ok {
			return f
		}
	}
	if f, ok := s.openBracket(message, at, opened); ok {
		return f
	}
	if f, ok := s.quotesInside(at); ok {
		return f
	}
	if strings.Contains(message, "quoted scalar: found unexpected end of stream") && opened.Line > 0 {
		at = opened // the end of the file says nothing
	}
	if strings.HasPrefix(strings.TrimLeft(s.Line(at.Line), " "), "\t") {
		message = "found a tab character that violates indentation"
	}
	f := s.finding(at, "yaml-syntax", "this is not YAML: "+plainWords(lineNumber.ReplaceAllString(message, "")), "")
	f.Hint = s.syntaxHint(message, at, opened)
	return f
}

// maxAgain is how many marks of YAML the newer parser is given: it keeps hundreds of
// bytes for each, and does so for all that stand in brackets on one line.
const (
	maxAgain = 50_000
	ahead    = 16 << 10 // bytes that it may look further than the first one
)

// secondOpinion asks the newer parser about what the first one has read.
func (s *Source) secondOpinion(read int) (marks, bool) {
	text := s.data[:min(read+ahead, len(s.data))]
	count := 0
	for _, c := range text {
		if strings.IndexByte("[]{},:\"'\n\r-?&*", c) >= 0 {
			count++
		}
	}
	if count > maxAgain {
		return marks{}, false
	}
	var nodes yaml4.Node // which are not looked into, unlike other types
	if err := yaml4.Load(text, &nodes); err != nil {
		return marksOf(err)
	}
	return marks{}, false
}

var lineNumber = regexp.MustCompile(`^line \d+: `)

// lineIn finds the line that the parser's message names.
func (s *Source) lineIn(message string) diag.Pos {
	m := lineNumber.FindString(message)
	n, _ := strconv.Atoi(strings.Trim(m, "line: "))
	if strings.Contains(message, "did not find expected") {
		n++ // where it parses it counts lines from 0, and where it scans from 1
	}
	return diag.Pos{File: s.Name, Line: min(max(n, 1), len(s.lines)), Col: 1}
}

type marks struct {
	at, context int // in characters from the start of the file; -1: unknown
	message     string
}

// marksOf reads the marks of an error of the newer parser, whose types are not
// exported. Their index is what its lines and columns are not: counted the same
// way by all of its parts.
func marksOf(err error) (marks, bool) {
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return marks{}, false
	}
	index := func(name string) (int, bool) {
		mark := v.FieldByName(name)
		if mark.Kind() != reflect.Struct {
			return 0, false
		}
		i := mark.FieldByName("Index")
		if i.Kind() != reflect.Int {
			return 0, false
		}
		return int(i.Int()), true
	}
	at, ok := index("Mark")
	text := v.FieldByName("Message")
	if !ok || text.Kind() != reflect.String {
		return marks{}, false
	}
	m := marks{at: at, context: -1, message: text.String()}
	if what := v.FieldByName("ContextMessage"); what.Kind() == reflect.String && what.String() != "" {
		if i, ok := index("ContextMark"); ok {
			m.context = i
		}
		m.message = what.String() + ": " + m.message
	}
	return m, true
}

func (s *Source) posOfRune(index int) diag.Pos {
	at := 0
	for ; index > 0 && at < len(s.data); index-- {
		_, size := utf8.DecodeRune(s.data[at:])
		at += size
	}
	for at >= len(s.data) && at > 0 && breaks(s.data[at-1]) { // an end of file is shown on the last line with text
		at--
	}
	return s.posAt(at)
}

// unquoted recognises { if: ${{ x }} }: inside braces YAML takes those of the
// expression for its own.
func (s *Source) unquoted(at, opened diag.Pos) (diag.Finding, bool) {
	first := at.Line
	if opened.Line > 0 && opened.Line < at.Line {
		first = max(opened.Line, at.Line-20)
	}
	for n := at.Line; n >= first; n-- {
		m := inBraces.FindStringSubmatchIndex(s.Line(n))
		if m == nil {
			continue
		}
		line := s.Line(n)
		text := strings.TrimSpace(line[m[2]:])
		if end := strings.Index(text, "}}"); end >= 0 {
			text = text[:end+2]
		}
		f := s.finding(diag.Pos{File: s.Name, Line: n, Col: utf8.RuneCountInString(line[:m[2]]) + 1}, "unquoted-expression",
			"inside { } or [ ] an expression must be quoted, or YAML takes its braces for its own", fmt.Sprintf("write %s", quoted(text)))
		f.Width = utf8.RuneCountInString(text)
		return f, true
	}
	return diag.Finding{}, false
}

// inBraces finds an expression that begins a value behind a bracket or comma.
var inBraces = regexp.MustCompile(`[\[{,][^'"#]*?[:\[,]\s*([^\s'",\[\]{}]*\$\{\{)`)

func quoted(text string) string {
	if strings.Contains(text, `"`) || strings.Contains(text, `\`) {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + text + `"`
}

var plainAnchor = regexp.MustCompile(`^[\w-]+$`)

var anchorMessage = regexp.MustCompile(`unknown anchor '(.*)' referenced`)

// anchorIn recognises the parser's message about an alias without its anchor.
func (s *Source) anchorIn(message string, at diag.Pos) (diag.Finding, bool) {
	if m := anchorMessage.FindStringSubmatch(message); m != nil {
		return s.unknownAnchor(m[1], at), true
	}
	return diag.Finding{}, false
}

// unknownAnchor finds the alias that has no anchor.
func (s *Source) unknownAnchor(name string, at diag.Pos) diag.Finding {
	alias := []byte("*" + name)
	for i := 0; ; i += len(alias) {
		next := bytes.Index(s.data[i:], alias)
		if next < 0 {
			break
		}
		i += next
		if bordered(s.data, i-1, " \t\r\n,:[{") && bordered(s.data, i+len(alias), " \t\r\n,]}") {
			at = s.posAt(i)
			break
		}
	}
	f := s.finding(at, "alias", fmt.Sprintf("there is no anchor &%s before the alias *%s", shorten(name), shorten(name)), fmt.Sprintf("define it earlier in the file with &%s, or put the text in quotes", shorten(name)))
	if !plainAnchor.MatchString(name) {
		f.Hint = "put the value in quotes: to YAML a text that begins with * is an alias"
	}
	f.Width = utf8.RuneCountInString(name) + 1
	return f
}

// bordered reports whether the byte at i is one of those, or data has none there.
func bordered(data []byte, i int, those string) bool {
	return i < 0 || i >= len(data) || strings.IndexByte(those, data[i]) >= 0
}

// plainWords puts the commonest complaints of the parser into words.
func plainWords(message string) string {
	for _, w := range []struct{ part, words string }{
		{"mapping values are not allowed in this context", `there is a second ": " in one value`},
		{"found a tab character that violates indentation", "a tab is used to indent"},
		{"found character that cannot start any token", "a value cannot begin with this character"},
		{"scanning a quoted scalar: found unexpected end of stream", "a quote is opened and never closed"},
		{"parsing a flow sequence: did not find expected ',' or ']'", "a comma or the closing ] is missing"},
		{"parsing a flow mapping: did not find expected ',' or '}'", "a comma or the closing } is missing"},
		{"parsing a block mapping: did not find expected key", "a key is expected here, indented like the ones before it"},
		{"parsing a block collection: did not find expected '-' indicator", `an item "- …" is expected here, indented like the ones before it`},
		{"could not find expected ':'", `a ":" is missing after a key`},
		{"found unknown escape character", `there is no such escape after \ in double quotes`},
		{"exceeded max depth", "it is nested too deep"},
	} {
		if strings.Contains(message, w.part) {
			return w.words
		}
	}
	return strings.TrimPrefix(message, "while ")
}

func (s *Source) syntaxHint(message string, at, opened diag.Pos) string {
	line := s.Line(at.Line)
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return "indent with spaces"
	case strings.Contains(message, "mapping values") && strings.Contains(line, "${{"):
		return `put the whole value in quotes: the expression holds ": "`
	case strings.Contains(message, "mapping values"):
		return `put the value in quotes, or write it behind "|" on the next lines`
	case strings.Contains(message, "cannot start any token"):
		return "put the value in quotes"
	case strings.Contains(message, "escape character"):
		return `write \\ for a backslash, or use single quotes`
	case opened.Line > 0 && opened.Line < at.Line && strings.Contains(message, "flow"):
		return fmt.Sprintf("the bracket was opened on line %d, column %d", opened.Line, opened.Col)
	case strings.Contains(message, "quoted scalar"):
		return "close the quote, or double it inside of single quotes"
	case opened.Line > 0 && opened.Line < at.Line:
		return fmt.Sprintf("the keys before it begin in column %d, from line %d on", opened.Col, opened.Line)
	}
	return "quote a value that holds special characters, and line up keys with spaces"
}
