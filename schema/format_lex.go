package schema

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// kind is what a token is.
type kind byte

const (
	tokText    kind = iota // quoted or plain
	tokAlias               // *name
	tokAnchor              // &name
	tokHeader              // | or > and what follows on its line
	tokBody                // the lines below a header
	tokComment             // a comment
	tokMark                // ---, ... or a directive
	// The others are the character itself: - : , [ ] { }
)

// token is a piece of the file that is never cut.
type token struct {
	kind     kind
	lines    []string // without what only lays them out: more than one for text over several lines, and for a body
	value    string   // what a body stands for
	at       int      // offset in the file
	line     int      // from 0: the first and the last that it stands on
	last     int
	col, end int    // from 0: where it begins on its first line, and ends on its last
	block    *block // the map or list that it is in, once known
	starts   bool   // it begins an entry of block
	first    int    // of a colon outside of brackets: the token that its key begins with
	key      bool   // it is such a colon
	pad      int    // of a colon: spaces that line up the value
	extra    int    // of a header: how far its body must stand from the block; 0 when it does not say
}

func (t token) text() string { return t.lines[0] }

// lexer cuts a file into tokens. The parser has said where texts are, so that only
// indicators and comments lie between them.
type lexer struct {
	s       *Source
	at      int
	depth   int // brackets that are open
	nest    nest
	tokens  []token
	refused *diag.Finding
}

func (s *Source) tokens() ([]token, *diag.Finding) {
	l := &lexer{s: s}
	doc, _ := s.parse() // as before: what was read is not kept as the parser has it
	pieces := s.pieces(doc, nil)
	if len(pieces) > maxPieces {
		l.tooMuch()
		return nil, l.refused
	}
	l.tokens = make([]token, 0, 3*len(pieces)) // about; they are large
	for _, p := range pieces {
		if l.gap(p.start); l.refused != nil {
			break
		}
		l.piece(p)
	}
	if l.refused == nil {
		l.gap(len(s.data))
	}
	l.nest.through(l.tokens)
	return l.tokens, l.refused
}

// Of more texts, or tokens in all, a file is left as it is, since laying it out would
// take seconds. Ten thousand small stages have fewer.
const (
	maxPieces = 80_000
	maxTokens = 155_000
)

func (l *lexer) tooMuch() {
	l.refuse(l.at, "the file is too large to be laid out", fmt.Sprintf("split it, so that each part holds fewer than %d texts", maxPieces))
}

func (l *lexer) refuse(at int, message, hint string) {
	if l.refused == nil {
		f := l.s.notFormatted(l.s.posAt(at), message, hint)
		l.refused = &f
	}
}

// add takes the bytes up to stop as one token.
func (l *lexer) add(k kind, stop int, lines ...string) *token {
	if len(l.tokens) > maxTokens {
		l.tooMuch()
	}
	t := token{kind: k, lines: lines, at: l.at}
	t.line, t.col = l.s.lineCol(l.at)
	t.last, t.end = l.s.lineCol(stop)
	l.tokens, l.at = append(l.tokens, t), stop
	return &l.tokens[len(l.tokens)-1]
}

// gap reads what lies before the next text.
func (l *lexer) gap(stop int) {
	for l.at < stop && l.refused == nil {
		switch c := l.s.data[l.at]; {
		case blank(c) || breaks(c):
			l.at++
		case c == '#':
			end := l.endOfLine()
			l.add(tokComment, end, remark(l.s.data[l.at:end]))
		case l.marks():
			end := l.at + 3
			if c == '%' {
				end = l.endOfLine()
			}
			l.add(tokMark, end, strings.TrimRight(string(l.s.data[l.at:end]), " \t"))
		default:
			l.indicator(c)
		}
	}
}

// marks reports whether the line begins or ends the document, or is a directive.
func (l *lexer) marks() bool {
	if l.depth > 0 || l.at > 0 && !breaks(l.s.data[l.at-1]) {
		return false
	}
	rest := l.s.data[l.at:]
	return rest[0] == '%' || bytes.HasPrefix(rest, []byte("---")) || bytes.HasPrefix(rest, []byte("..."))
}

func (l *lexer) indicator(c byte) {
	switch c {
	case '[', '{':
		l.depth++
	case ']', '}':
		l.depth--
	case '-', ':', ',':
	case '&':
		stop := l.at + 1
		for stop < len(l.s.data) && nameByte(l.s.data[stop]) {
			stop++
		}
		l.add(tokAnchor, stop, string(l.s.data[l.at:stop]))
		return
	case '?':
		l.refuse(l.at, "a key that is written behind `?` is not laid out anew", "write `NAME: value`")
		return
	default:
		l.refuse(l.at, "this cannot be laid out anew", "write it in another way")
		return
	}
	l.add(kind(c), l.at+1, string(c))
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func (l *lexer) endOfLine() int {
	if n := bytes.IndexAny(l.s.data[l.at:], "\r\n"); n >= 0 {
		return l.at + n
	}
	return len(l.s.data)
}

// piece takes one text or alias.
func (l *lexer) piece(p piece) {
	n := p.node
	if l.at != p.start { // the parser says that texts overlap
		l.refuse(l.at, "this cannot be laid out anew", "write it in another way")
		return
	}
	switch {
	case n.is(yaml.AliasNode):
		l.add(tokAlias, l.at+1+len(n.value), "*"+n.value)
	case n.styled(yaml.LiteralStyle | yaml.FoldedStyle):
		l.blockText(n)
	case n.styled(yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle):
		l.flowText(quoteEnd(l.s.data, l.at), n.styled(yaml.DoubleQuotedStyle))
	default:
		_, end, ok := l.s.unfold(n)
		if !ok {
			l.refuse(l.at, "this text cannot be laid out anew", "put it in quotes")
			return
		}
		l.flowText(end, false)
	}
}

// quoteEnd is the offset behind the quote that closes the one at start.
func quoteEnd(data []byte, start int) int {
	quote := data[start]
	for i := start + 1; i < len(data); i++ {
		switch {
		case quote == '"' && data[i] == '\\':
			i++
		case data[i] == quote && quote == '\'' && i+1 < len(data) && data[i+1] == quote:
			i++
		case data[i] == quote:
			return i + 1
		}
	}
	return len(data)
}

// flowText takes text whose line ends are folded, so that blanks around them say
// nothing. An escaped blank is none.
func (l *lexer) flowText(end int, escapes bool) {
	raw := string(l.s.data[l.at:end])
	var lines []string
	for _, part := range cut([]byte(raw), len(raw)+1) {
		lines = append(lines, raw[part.start:part.end])
	}
	for i, line := range lines {
		if i > 0 {
			line = strings.TrimLeft(line, " \t")
		}
		if i < len(lines)-1 {
			short := strings.TrimRight(line, " \t")
			if slashes := len(short) - len(strings.TrimRight(short, `\`)); escapes && slashes%2 == 1 && len(short) < len(line) {
				short = line[:len(short)+1]
			}
			line = short
		}
		lines[i] = line
	}
	l.add(tokText, end, lines...)
}
