package schema

import (
	"bytes"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// Source is one YAML file that still knows where everything was written. Values
// are named by JSON pointers: "" is the whole file, "/stages/train/run" a script.
// It keeps what it has looked up, so only one goroutine at a time may ask.
type Source struct {
	Name string
	// Tree is the content as plain maps, slices and scalars (string, bool, int64,
	// float64, nil), or nil when the file could not be read. Aliases share values:
	// treat it as read only.
	Tree any

	data  []byte // without a byte order mark
	lines []line
	root  *value
	last  unfolded
	near  owned
	kept  kept

	defaults map[string][]Named  // see common
	lists    map[string][]string // of the defaults, which all stages share
	spread   int                 // names of the defaults that stages have taken into lists of their own
}

// owned keeps the stage or parameter that was looked at last, since the next look is
// most often at another key of it.
type owned struct {
	path  string
	value *value
	key   node
}

// At returns the place of the value at path, or of its nearest known parent.
func (s *Source) At(path string) diag.Pos {
	_, at, _ := s.walk(path)
	if at == nil {
		return diag.Pos{File: s.Name, Line: 1, Col: 1}
	}
	return s.pos(at.node())
}

// KeyAt returns the place where the key that path ends with was written; the place
// of the value when there is no such key.
func (s *Source) KeyAt(path string) diag.Pos {
	if _, at, key := s.walk(path); key.kind != 0 && at != nil {
		return s.pos(key)
	}
	return s.At(path)
}

// Keys returns the keys of the map at path in the file's order.
func (s *Source) Keys(path string) []string {
	v, _, _ := s.walk(path)
	if v == nil {
		return nil
	}
	keys := make([]string, len(v.fields))
	for i, f := range v.fields {
		keys[i] = f.name
	}
	return keys
}

// Text returns the scalar at path as it was written, without its quotes: 1.10
// stays "1.10". It is false when there is no scalar, or only null.
func (s *Source) Text(path string) (string, bool) {
	v, _, _ := s.walk(path)
	if v == nil || v.plain == nil || !v.node().is(yaml.ScalarNode) {
		return "", false
	}
	return v.node().value, true
}

// Value returns what Tree holds at path.
func (s *Source) Value(path string) (any, bool) {
	if s == nil {
		return nil, false
	}
	v, _, _ := s.walk(path)
	if v == nil {
		return nil, false
	}
	return v.plain, true
}

// Line returns line n, counted from 1, without its end.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	if l := s.lines[n-1]; s.kept.number != n {
		s.kept = kept{n, string(s.data[l.start:l.end])}
	}
	return s.kept.text
}

// kept is the line that was asked for last: of a file that is one long line it
// would be the whole file for each finding.
type kept struct {
	number int
	text   string
}

// walk follows path and returns the value there (nil when there is none), the last
// value on the way, and the key that path ends with.
func (s *Source) walk(path string) (found, last *value, key node) {
	last = s.root
	if path == "" || last == nil {
		return last, last, node{}
	}
	owner := ownerLength(path)
	if owner == 0 {
		return last.follow(path[1:])
	}
	if s.near.path != path[:owner] {
		found, parent, key := last.follow(path[1:owner])
		if found == nil {
			return nil, parent, node{}
		}
		s.near = owned{path[:owner], found, key}
	}
	if owner == len(path) {
		return s.near.value, s.near.value, s.near.key
	}
	return s.near.value.follow(path[owner+1:])
}

// ownerLength is where the first two steps of path end; 0 when it has fewer.
func ownerLength(path string) int {
	i := strings.IndexByte(path[1:], '/') + 1
	if i == 0 {
		return 0
	}
	if j := strings.IndexByte(path[i+1:], '/'); j >= 0 {
		return i + 1 + j
	}
	return len(path)
}

// follow goes on from v.
func (v *value) follow(path string) (found, last *value, key node) {
	last = v
	for step := range strings.SplitSeq(path, "/") {
		var next *value
		key = node{}
		if i := last.at(unescape(step)); i >= 0 {
			next, key = last.fields[i].value, last.fields[i].node()
		} else if len(last.items) > 0 {
			if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(last.items) {
				next = last.items[n]
			}
		}
		if next == nil {
			return nil, last, node{}
		}
		last = next
	}
	return last, last, key
}

// few is how many fields are looked through faster than they are looked up.
const few = 12

// at is the place of a field among those of a map; -1 when it has none of that name.
func (v *value) at(name string) int {
	if v.index != nil {
		if i, ok := v.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range v.fields {
		if v.fields[i].name == name {
			return i
		}
	}
	return -1
}

// pos gives the place of a node: for a scalar that of its text or opening quote,
// not of an anchor before it.
func (s *Source) pos(n node) diag.Pos {
	if !n.is(yaml.ScalarNode) || n.anchor == 0 {
		return diag.Pos{File: s.Name, Line: max(int(n.line), 1), Col: max(int(n.col), 1)}
	}
	return s.posAt(s.begin(n))
}

// tag returns the tag that is written before n, if any. The parser hides the bare "!".
func (s *Source) tag(n *yaml.Node) string {
	if n.Style&yaml.TaggedStyle != 0 {
		return n.Tag
	}
	if at := s.begin(slim(n)); n.Kind != yaml.AliasNode && at < len(s.data) && s.data[at] == '!' {
		return "!"
	}
	return ""
}

// line is a line's bytes in the file. Marks are the byte offsets of every 256th
// character, made when a long line is first asked for.
type line struct {
	start, end int
	marks      []int
}

const stride = 256

// cut finds the lines of data as YAML ends them: LF, CR LF or CR. It stops after most
// of them, and leaves the rest of the data as one.
func cut(data []byte, most int) []line {
	lines := make([]line, 0, min(bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r")), most)+1)
	start := 0
	for i := 0; i < len(data) && len(lines) < most; i++ {
		if data[i] != '\n' && data[i] != '\r' {
			continue
		}
		lines = append(lines, line{start: start, end: i})
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
		}
		start = i + 1
	}
	return append(lines, line{start: start, end: len(data)})
}

func (s *Source) marks(n int) []int {
	l := &s.lines[n]
	if l.marks != nil {
		return l.marks
	}
	count := 0
	for i := range string(s.data[l.start:l.end]) {
		if count%stride == 0 {
			l.marks = append(l.marks, l.start+i)
		}
		count++
	}
	if l.marks == nil {
		l.marks = []int{l.start}
	}
	return l.marks
}

// offset turns a place, both parts from 1, into a byte offset.
func (s *Source) offset(lineNo, col int) int {
	n := min(max(lineNo-1, 0), len(s.lines)-1)
	marks := s.marks(n)
	skip := max(col-1, 0)
	i := min(skip/stride, len(marks)-1)
	at := marks[i]
	for skip -= i * stride; skip > 0 && at < s.lines[n].end; skip-- {
		_, size := utf8.DecodeRune(s.data[at:])
		at += size
	}
	return at
}

// posAt turns a byte offset into a place.
func (s *Source) posAt(offset int) diag.Pos {
	if len(s.lines) == 0 {
		return diag.Pos{File: s.Name, Line: 1, Col: 1}
	}
	n := sort.Search(len(s.lines), func(i int) bool { return s.lines[i].start > offset }) - 1
	n = max(n, 0)
	marks := s.marks(n)
	i := max(sort.SearchInts(marks, offset+1)-1, 0)
	col := i*stride + utf8.RuneCount(s.data[marks[i]:max(offset, marks[i])])
	return diag.Pos{File: s.Name, Line: n + 1, Col: col + 1}
}

var escaper, unescaper = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

// join adds one step to a JSON pointer.
func join(path string, steps ...string) string {
	for _, step := range steps {
		path += "/" + escaper.Replace(step)
	}
	return path
}

func unescape(step string) string {
	if !strings.Contains(step, "~") {
		return step
	}
	return unescaper.Replace(step)
}
