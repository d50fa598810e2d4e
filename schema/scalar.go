package schema

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// Within returns the place of byte offset of the decoded text of the scalar at
// path: it undoes quotes, escapes, indentation and folded lines. Where the text
// cannot be followed it returns the place of the scalar.
func (s *Source) Within(path string, offset int) diag.Pos {
	v, _, _ := s.walk(path)
	if v == nil || !v.node().is(yaml.ScalarNode) {
		return s.At(path)
	}
	at, _, ok := s.unfold(v.node())
	if !ok || offset < 0 || offset >= len(at) {
		return s.At(path)
	}
	return s.posAt(at[offset])
}

// Width returns how many characters the scalar at path takes in the file, with its
// quotes; 0 when it goes over several lines.
func (s *Source) Width(path string) int {
	v, last, _ := s.walk(path)
	if v == nil || last == nil || !v.node().is(yaml.ScalarNode) {
		return 0
	}
	return s.width(v.node())
}

// KeyWidth returns how many characters the key that path ends with takes.
func (s *Source) KeyWidth(path string) int {
	_, at, key := s.walk(path)
	if at == nil || key.kind == 0 {
		return 0
	}
	return s.width(key)
}

func (s *Source) width(n node) int {
	if n.styled(yaml.LiteralStyle | yaml.FoldedStyle) {
		return 1
	}
	_, end, ok := s.unfold(n)
	if !ok {
		return 0
	}
	from, to := s.pos(n), s.posAt(end)
	if from.Line != to.Line {
		return 0
	}
	return to.Col - from.Col
}

// unfold follows a scalar through the file. It returns the offset in the file of
// every byte of its decoded text and of the end of that text, and the offset after
// the scalar. It is false when what it reads is not what the parser read: the rules
// below are those of YAML 1.2 as libyaml has them, and this is the check on them.
func (s *Source) unfold(n node) (at []int, end int, ok bool) {
	if s.last.node != n {
		at, end, ok := s.follow(n)
		s.last = unfolded{n, at, end, ok}
	}
	return s.last.at, s.last.end, s.last.ok
}

// unfolded keeps what was found about one scalar: a long one may be asked for many
// of its places.
type unfolded struct {
	node node
	at   []int
	end  int
	ok   bool
}

func (s *Source) follow(n node) (at []int, end int, ok bool) {
	start := s.begin(n)
	f := follower{data: s.data, i: start, want: n.value}
	switch {
	case n.styled(yaml.DoubleQuotedStyle):
		f.i++
		f.flow('"')
	case n.styled(yaml.SingleQuotedStyle):
		f.i++
		f.flow('\'')
	case n.styled(yaml.LiteralStyle | yaml.FoldedStyle):
		f.block(n.styled(yaml.FoldedStyle))
	default:
		f.flow(0)
	}
	if string(f.text) != n.value {
		return nil, 0, false
	}
	return append(f.at, f.i), f.end, true
}

// begin is where a node's own text begins, behind an anchor and comments.
func (s *Source) begin(n node) int {
	i := s.offset(int(n.line), int(n.col))
	if n.anchor == 0 || i >= len(s.data) || s.data[i] != '&' {
		return i
	}
	for i += 1 + int(n.anchor); i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '#':
			for i < len(s.data) && !breaks(s.data[i]) {
				i++
			}
		case !blank(c) && !breaks(c):
			return i
		}
	}
	return i
}

// follower reads a scalar again, noting where each byte came from.
type follower struct {
	data []byte
	want string // what the parser made of it; ends plain text
	i    int
	end  int
	text []byte
	at   []int
}

func blank(c byte) bool  { return c == ' ' || c == '\t' }
func breaks(c byte) bool { return c == '\n' || c == '\r' }

func (f *follower) more() bool { return f.i < len(f.data) }

func (f *follower) put(text string, from int) {
	f.text = append(f.text, text...)
	for range len(text) {
		f.at = append(f.at, from)
	}
}

// take copies one byte as it stands.
func (f *follower) take() {
	f.text = append(f.text, f.data[f.i])
	f.at = append(f.at, f.i)
	f.i++
}

// newline steps over one line end.
func (f *follower) newline() {
	if f.data[f.i] == '\r' && f.i+1 < len(f.data) && f.data[f.i+1] == '\n' {
		f.i++
	}
	f.i++
}

// flow reads text that is quoted, or plain when quote is 0.
func (f *follower) flow(quote byte) {
	for f.more() {
		c := f.data[f.i]
		switch {
		case quote == 0 && len(f.text) >= len(f.want):
			f.end = f.i
			return
		case quote == '\'' && c == quote && f.i+1 < len(f.data) && f.data[f.i+1] == quote:
			f.put("'", f.i)
			f.i += 2
		case quote != 0 && c == quote:
			f.end = f.i + 1
			return
		case quote == '"' && c == '\\':
			f.escape()
		case blank(c) || breaks(c):
			f.space(false)
		default:
			f.take()
		}
	}
	f.end = f.i
}

// space reads blanks and line ends: blanks inside a line stay, a line end becomes a
// space, and line ends after it stay line ends. Escaped is true after "\" at the
// end of a line, which joins the lines without a space.
func (f *follower) space(escaped bool) {
	from := f.i
	folded, empty := escaped, 0
	blanksEnd := f.i
	for f.more() && (blank(f.data[f.i]) || breaks(f.data[f.i])) {
		if blank(f.data[f.i]) {
			f.i++
			if !folded {
				blanksEnd = f.i
			}
			continue
		}
		f.newline()
		if folded {
			empty++
		}
		folded = true
	}
	switch {
	case !folded:
		for f.i = from; f.i < blanksEnd; {
			f.take()
		}
	case empty > 0:
		f.put(strings.Repeat("\n", empty), from)
	case !escaped:
		f.put(" ", from)
	}
}

var escapes = map[byte]string{'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r",
	'e': "\x1b", ' ': " ", '"': "\"", '\'': "'", '/': "/", '\\': "\\", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029"}

// escape reads what a backslash begins.
func (f *follower) escape() {
	from := f.i
	if f.i++; !f.more() {
		return
	}
	c := f.data[f.i]
	if breaks(c) {
		f.newline()
		f.space(true)
		return
	}
	f.i++
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits == 0 {
		f.put(escapes[c], from)
		return
	}
	stop := min(f.i+digits, len(f.data))
	code, err := strconv.ParseUint(string(f.data[f.i:stop]), 16, 32)
	if err != nil {
		return
	}
	f.put(string(utf8.AppendRune(nil, rune(code))), from)
	f.i = stop
}

// block reads text behind | or >.
func (f *follower) block(folded bool) {
	for f.more() && !breaks(f.data[f.i]) {
		f.i++
	}
	f.end = f.i
	if !f.more() {
		return
	}
	f.newline()
	if strings.TrimSpace(f.want) == "" {
		f.put(f.want, f.i)
		return
	}
	indent, ok := f.indent()
	if !ok {
		return
	}
	wasBlank, first, leading, trailing := false, true, false, ""
	start := f.i
	for f.more() && len(f.text) < len(f.want) {
		if f.lineIsEmpty(indent) {
			trailing += f.lineEnd(indent)
			continue
		}
		if f.columns() < indent {
			break
		}
		f.i += indent
		nowBlank := blank(f.data[f.i])
		switch {
		case first:
			f.put(trailing, start)
		case folded && leading && !wasBlank && !nowBlank && trailing == "":
			f.put(" ", start)
		case folded && leading && !wasBlank && !nowBlank:
			f.put(trailing, start)
		default:
			f.put("\n"+trailing, start)
		}
		first, leading, wasBlank, trailing = false, true, nowBlank, ""
		for f.more() && !breaks(f.data[f.i]) {
			f.take()
		}
		start, f.end = f.i, f.i
		if f.more() {
			f.newline()
		}
	}
	rest := f.want[min(len(f.text), len(f.want)):]
	if strings.Trim(rest, "\n") == "" {
		f.put(rest, start)
	}
}

// indent finds how far the block is indented: by its first line with text, which
// the parser has read without the indentation.
func (f *follower) indent() (int, bool) {
	text := ""
	for line := range strings.SplitSeq(f.want, "\n") {
		if text = line; strings.Trim(line, " ") != "" {
			break
		}
	}
	rest := f.data[f.i:]
	for len(rest) > 0 {
		stop := bytes.IndexAny(rest, "\r\n")
		if stop < 0 {
			stop = len(rest)
		}
		if own := rest[:stop]; len(bytes.Trim(own, " ")) > 0 {
			lead := len(own) - len(bytes.TrimLeft(own, " "))
			return lead - (len(text) - len(strings.TrimLeft(text, " "))), lead >= len(text)-len(strings.TrimLeft(text, " "))
		}
		rest = rest[min(stop+1, len(rest)):]
	}
	return 0, false
}

func (f *follower) columns() int {
	n := 0
	for f.i+n < len(f.data) && f.data[f.i+n] == ' ' {
		n++
	}
	return n
}

// lineIsEmpty reports whether the line has nothing beyond the indentation.
func (f *follower) lineIsEmpty(indent int) bool {
	n := f.columns()
	return n <= indent && (f.i+n >= len(f.data) || breaks(f.data[f.i+n]))
}

func (f *follower) lineEnd(indent int) string {
	f.i += f.columns()
	if !f.more() {
		return ""
	}
	f.newline()
	return "\n"
}
