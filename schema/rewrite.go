package schema

import (
	"bytes"
	"cmp"
	"slices"
)

// Edit replaces the scalar at a path by another text. Both texts must be such that
// YAML takes them the same plain as in quotes.
type Edit struct{ Path, Old, New string }

// Rewrite applies edits to a file and leaves every other byte as it is. Edits whose
// old text is not written out where the value stands, such as those of an alias or of
// folded text, are given back.
func Rewrite(data []byte, edits []Edit) (out []byte, left []Edit) {
	s, _ := Read("", data)
	head := data[:len(data)-len(s.data)] // a byte order mark
	type span struct {
		from int
		Edit
	}
	var spans []span
	for _, e := range edits {
		at := s.At(e.Path)
		from := s.offset(at.Line, at.Col)
		if from < len(s.data) && (s.data[from] == '"' || s.data[from] == '\'') {
			from++
		}
		text, found := s.Text(e.Path)
		if !found || text != e.Old || !bytes.HasPrefix(s.data[from:], []byte(e.Old)) {
			left = append(left, e)
			continue
		}
		spans = append(spans, span{from, e})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	spans = slices.CompactFunc(spans, func(a, b span) bool { return a.from == b.from }) // an alias shares its place
	out, done := append(out, head...), 0
	for _, sp := range spans {
		out = append(append(out, s.data[done:sp.from]...), sp.New...)
		done = sp.from + len(sp.Old)
	}
	return append(out, s.data[done:]...), left
}
