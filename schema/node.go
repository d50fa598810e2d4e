package schema

import "gopkg.in/yaml.v3"

// node is what is kept of one of the parser's: those take five times as much, and a
// large file has a hundred thousand of them.
type node struct {
	value             string // of a text or an alias
	line, col, anchor int32  // anchor is the length of its name; 0: it has none
	kind, style       uint8
}

func slim(n *yaml.Node) node {
	return node{n.Value, int32(n.Line), int32(n.Column), int32(len(n.Anchor)), uint8(n.Kind), uint8(n.Style)}
}

func (n node) is(kind yaml.Kind) bool        { return yaml.Kind(n.kind) == kind }
func (n node) styled(styles yaml.Style) bool { return yaml.Style(n.style)&styles != 0 }

// mark is a node without its text.
type mark struct {
	line, col, anchor int32
	kind, style       uint8
}

func (n node) mark() mark { return mark{n.line, n.col, n.anchor, n.kind, n.style} }

func (m mark) with(text string) node { return node{text, m.line, m.col, m.anchor, m.kind, m.style} }

// value is one value of the file; the targets of aliases have one value only.
type value struct {
	mark   mark
	plain  any
	size   int32 // values in it after expansion, itself included
	height int32
	*inner // nil for most texts, which are all in plain
}

// inner is what a value holds that is not only text.
type inner struct {
	text   string         // of a scalar, as it was written
	fields []field        // of a map, in the file's order
	index  map[string]int // of a map with more than a few fields; see at
	items  []*value
}

// none is the inside of what holds nothing.
var none = &inner{}

// field is an entry of a map. The mark is that of its key.
type field struct {
	name  string
	key   mark
	value *value
}

func newValue(n *yaml.Node, plain any) *value {
	v := &value{mark: slim(n).mark(), plain: plain, size: 1, inner: none}
	if text, ok := plain.(string); n.Kind == yaml.ScalarNode && n.Value != "" && (!ok || text != n.Value) {
		v.inner = &inner{text: n.Value}
	}
	return v
}

// node is the value as the parser had it.
func (v *value) node() node {
	if v.mark.kind != uint8(yaml.ScalarNode) {
		return v.mark.with("")
	}
	if text, ok := v.plain.(string); ok && v.inner == none {
		return v.mark.with(text)
	}
	return v.mark.with(v.text)
}

func (f field) node() node { return f.key.with(f.name) }
