package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// The limits of a file. Each is far above what a person writes, leaves room for a
// hundred thousand stages that a program has written, and is low enough that the
// worst file within them is answered in about three seconds.
const (
	maxBytes    = 12 << 20
	maxDepth    = 64
	maxValues   = 1_000_000 // after aliases are expanded
	maxRepeated = 200_000   // of these, what aliases repeat
	maxItems    = 200_000   // in one list
	maxStages   = 120_000   // keys of `stages`; of a pipeline, with those that its stages run
	maxSpread   = 200_000   // variables of stages, each with those of the defaults
	maxKeys     = 20_000    // in one map
	maxText     = 256 << 10
	maxIndent   = 1024 // columns; deeper indentation makes the parser slow
	maxNoise    = 200  // findings about how one file is written; enough to see what is wrong with it
)

// Read parses one file in the safe subset of YAML: UTF-8, one document, no tags,
// bounded in every direction, dates as text, and every key once. It reports all
// that is wrong, except that a syntax error is reported alone. The source is never
// nil; its Tree is nil when the file could not be read as a whole.
func Read(name string, data []byte) (*Source, diag.Findings) {
	s := &Source{Name: name, data: bytes.TrimPrefix(data, []byte("\ufeff"))}
	if len(data) > maxBytes {
		s.data, s.lines = nil, []line{{}}
		return s, diag.Findings{s.finding(diag.Pos{File: name, Line: 1, Col: 1}, "too-large",
			fmt.Sprintf("the file has %d bytes, more than the %d that are read", len(data), maxBytes), "split it into several pipelines")}
	}
	if s.lines = cut(s.data, 2*maxValues); len(s.lines) > 2*maxValues {
		return s, diag.Findings{s.finding(s.posAt(s.lines[2*maxValues].start), "too-large", fmt.Sprintf("the file holds more than %d lines", 2*maxValues), "split it into several pipelines")}
	}
	if fs := s.checkBytes(); len(fs) > 0 {
		return s, fs
	}
	if fs := s.checkNesting(); len(fs) > 0 {
		return s, fs
	}
	doc, fs := s.parse()
	if doc == nil {
		return s, fs
	}
	c := converter{source: s, done: map[*yaml.Node]*value{}, open: map[*yaml.Node]bool{}, findings: fs}
	root := c.value(doc.Content[0], 0)
	if c.full {
		return s, c.findings.Sort() // half a file would give mistakes that are not in it
	}
	if s.root = root; root != nil {
		s.Tree = root.plain
	}
	return s, c.findings.Sort()
}

func (s *Source) finding(at diag.Pos, code diag.Code, message, hint string) diag.Finding {
	return diag.Finding{Pos: at, Severity: diag.Error, Code: code, Message: message, Hint: hint}
}

// checkBytes refuses what is not UTF-8, and characters that show one thing and
// mean another.
func (s *Source) checkBytes() (fs diag.Findings) {
	lead := true // only blanks so far on this line: there, a no-break space looks like indentation and is part of a key
	for i := 0; i < len(s.data) && len(fs) < maxNoise; {
		r, size := utf8.DecodeRune(s.data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return append(fs, s.finding(s.posAt(i), "bad-character", fmt.Sprintf("the byte 0x%02X is not UTF-8", s.data[i]), "save the file as UTF-8"))
		case r < 0x80 && r >= 0x20 && r != 0x7f || r == '\n' || r == '\r' || r == '\t':
		case hidden(r) || r == 0xa0 && lead:
			fs = append(fs, s.finding(s.posAt(i), "bad-character", fmt.Sprintf("the character U+%04X cannot be seen, and is not taken here", r),
				hiddenCure(r)))
		}
		lead = r == '\n' || r == '\r' || lead && (r == ' ' || r == '\t')
		i += size
	}
	return fs
}

func hiddenCure(r rune) string {
	if r == 0xa0 {
		return "indent with plain spaces"
	}
	return "remove it; inside double quotes it can be written as an escape"
}

// hidden: control characters, line ends that only some programs know, marks that
// change the direction of text, blanks without width, byte order marks and what is no character.
func hidden(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xad || r == 0x200b || r == 0x2060 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0x200e || r == 0x200f || r == 0x061c ||
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// checkNesting looks at brackets and indentation before the parser does, whose
// time grows with the square of both.
func (s *Source) checkNesting() diag.Findings {
	deep := func(i int) diag.Findings {
		return diag.Findings{s.finding(s.posAt(i), "too-deep", fmt.Sprintf("this is nested deeper than %d levels", maxDepth), "put parts of it into files of their own")}
	}
	depth, dashes, indent, marks, brackets, lead := 0, 0, 0, 0, 0, true
	for i, c := range s.data {
		if c == ',' || c == '\n' {
			if marks++; marks > 2*maxValues {
				return diag.Findings{s.finding(s.posAt(i), "too-large", fmt.Sprintf("the file holds more than %d commas and lines", 2*maxValues), "split it into several pipelines")}
			}
		}
		switch c {
		case '[', '{':
			if brackets++; brackets > maxValues {
				return diag.Findings{s.finding(s.posAt(i), "too-large", fmt.Sprintf("the file holds more than %d brackets", maxValues), "split it into several pipelines")}
			}
			if depth++; depth > 4*maxDepth {
				return deep(i)
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
		switch {
		case breaks(c):
			lead, dashes, indent = true, 0, 0
		case lead && (c == '-' || c == '?'):
			if dashes++; dashes > maxDepth {
				return deep(i)
			}
		case lead && c == ' ':
			if indent++; indent > maxIndent {
				return deep(i)
			}
		default:
			lead = false
		}
	}
	return nil
}

// parse reads the first document and sees that it is the only one.
func (s *Source) parse() (*yaml.Node, diag.Findings) {
	start := diag.Pos{File: s.Name, Line: 1, Col: 1}
	empty := diag.Findings{s.finding(start, "empty-file", "the file holds nothing", `start with "amlflow: v1"`)}
	text := bytes.NewReader(s.data)
	decoder := yaml.NewDecoder(text)
	read := func() int { return len(s.data) - text.Len() }
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, empty
	case err != nil:
		return nil, diag.Findings{s.syntax(err, read())}
	case len(doc.Content) == 0:
		return nil, empty
	case doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null":
		return nil, empty
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return &doc, diag.Findings{s.finding(s.secondDocument(&more), "many-documents", "the file holds more than one document", "put each into a file of its own, without `---`")}
	case !errors.Is(err, io.EOF):
		return nil, diag.Findings{s.syntax(err, read())}
	}
	return &doc, nil
}

// secondDocument finds the "---" before a document.
func (s *Source) secondDocument(n *yaml.Node) diag.Pos {
	for i := min(n.Line, len(s.lines)); i > 1; i-- {
		if bytes.HasPrefix(s.data[s.lines[i-1].start:], []byte("---")) {
			return diag.Pos{File: s.Name, Line: i, Col: 1}
		}
	}
	return diag.Pos{File: s.Name, Line: max(n.Line, 1), Col: max(n.Column, 1)}
}
