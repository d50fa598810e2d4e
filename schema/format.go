package schema

import (
	"bytes"
	"reflect"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// Format lays a file out as the examples are: two columns for each level, one space
// where one is enough, at most one empty line in a row. Lines stay lines and keep
// their order, so a comment stays where its reader looks for it; text, anchors and
// quotes stay as they are written, and so do columns that were lined up. What it
// returns reads as the same file, or it returns nil and says why not.
func Format(name string, data []byte) ([]byte, diag.Findings) {
	s, fs := Read(name, data)
	if fs.Bad() || s.root == nil {
		return nil, fs
	}
	tokens, refused := s.tokens()
	if refused != nil {
		return nil, diag.Findings{*refused}
	}
	out := layOut(tokens)
	if at, same := s.sameAs(tokens, out); !same {
		return nil, diag.Findings{s.notFormatted(at, "this cannot be laid out anew without changing what the file says", "lay it out by hand; the file is left as it is")}
	}
	return out, fs
}

func (s *Source) notFormatted(at diag.Pos, message, hint string) diag.Finding {
	return s.finding(at, "not-formatted", message, hint)
}

// sameAs reports whether text says what s says, with the same words, quotes, anchors
// and comments in the same order, and where it does not.
func (s *Source) sameAs(tokens []token, text []byte) (diag.Pos, bool) {
	start := diag.Pos{File: s.Name, Line: 1, Col: 1}
	again, fs := Read(s.Name, text)
	if fs.Bad() || again.root == nil {
		return start, false
	}
	others, refused := again.tokens()
	if refused != nil {
		return start, false
	}
	for i, t := range tokens {
		if i >= len(others) || !t.same(others[i]) {
			return s.posAt(t.at), false
		}
	}
	return start, len(tokens) == len(others) && reflect.DeepEqual(s.Tree, again.Tree)
}

// same compares what two tokens say; where they stand is another matter.
func (t token) same(other token) bool {
	switch {
	case t.kind != other.kind || t.value != other.value:
		return false
	case t.kind == tokHeader:
		return strings.TrimRight(t.text(), "+-") == strings.TrimRight(other.text(), "+-") // see the end of a file in body
	case t.kind == tokBody:
		return true // value says it
	}
	return strings.Join(t.lines, "\n") == strings.Join(other.lines, "\n")
}

// piece is a text or an alias of the file, and where it begins.
type piece struct {
	node  node
	start int
}

// pieces are all of them, in the order of the file. A value of which nothing is
// written is none.
func (s *Source) pieces(n *yaml.Node, into []piece) []piece {
	switch n.Kind {
	case yaml.AliasNode:
		return append(into, piece{slim(n), s.offset(n.Line, n.Column)})
	case yaml.ScalarNode:
		if n.Style == 0 && n.Value == "" {
			return into
		}
		return append(into, piece{slim(n), s.begin(slim(n))})
	}
	for _, c := range n.Content {
		into = s.pieces(c, into)
	}
	return into
}

// lineCol counts lines and columns from 0.
func (s *Source) lineCol(offset int) (line, col int) {
	at := s.posAt(offset)
	return at.Line - 1, at.Col - 1
}

// remark is a comment with a space behind its mark, unless the mark is one of those
// that programs look for.
func remark(text []byte) string {
	t := string(bytes.TrimRight(text, " \t"))
	if len(t) < 2 || strings.ContainsRune(" \t#!", rune(t[1])) {
		return t
	}
	return "# " + t[1:]
}

func width(text string) int { return utf8.RuneCountInString(text) }
