package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/amlflow/amlflow/schema/diag"
)

// converter makes plain values from the parser's nodes, each node once. (The
// parser's own decoding to a map takes time with the square of its keys.)
type converter struct {
	source   *Source
	done     map[*yaml.Node]*value // the targets of aliases
	open     map[*yaml.Node]bool   // being converted now
	values   int                   // so far, after expansion
	again    int                   // of these, those that aliases repeat
	stages   *yaml.Node            // the map of the file's stages, once it was found
	full     bool                  // the limit was reached and reported
	findings diag.Findings
}

func (c *converter) find(n *yaml.Node, code diag.Code, hint, format string, args ...any) {
	if len(c.findings) >= maxNoise {
		return
	}
	f := c.source.finding(c.source.pos(slim(n)), code, fmt.Sprintf(format, args...), hint)
	f.Width = c.width(n)
	c.findings = append(c.findings, f)
}

func (c *converter) width(n *yaml.Node) int {
	switch n.Kind {
	case yaml.AliasNode:
		return len(n.Value) + 1
	case yaml.ScalarNode:
		return c.source.width(slim(n))
	}
	return 0
}

// value converts n; nil means that it was refused.
func (c *converter) value(n *yaml.Node, depth int) *value {
	if n.Kind == yaml.AliasNode {
		return c.alias(n, depth)
	}
	if v, ok := c.done[n]; ok {
		return v
	}
	if !c.room(n, 1, depth) {
		return nil
	}
	if tag := c.source.tag(n); tag != "" {
		c.find(n, "tag", "remove the tag; put the value in quotes to make it text", "the tag %.40q is not taken here", tag)
		return nil
	}
	v := &value{mark: slim(n).mark(), size: 1, inner: none}
	if n.Anchor != "" {
		c.open[n] = true
		defer func() { delete(c.open, n); c.done[n] = v }()
	}
	switch n.Kind {
	case yaml.MappingNode:
		c.fields(v, n, depth)
	case yaml.SequenceNode:
		c.items(v, n, depth)
	default:
		*v = *newValue(n, c.scalar(n))
	}
	return v
}

// room counts values and levels, and reports the limit once.
func (c *converter) room(n *yaml.Node, size, height int) bool {
	if c.values += size; c.values > maxValues {
		if !c.full {
			c.find(n, "too-large", "split it into several pipelines, or use fewer aliases", "the file holds more than %d values, aliases expanded", maxValues)
		}
		c.full = true
		return false
	}
	if height > maxDepth {
		c.find(n, "too-deep", "put parts of it into files of their own", "this is nested deeper than %d levels", maxDepth)
		return false
	}
	return true
}

func (c *converter) alias(n *yaml.Node, depth int) *value {
	if c.open[n.Alias] {
		c.find(n, "alias", "write the value out instead", "the alias %q is inside of what it stands for", "*"+n.Value)
		return nil
	}
	v := c.value(n.Alias, depth)
	if v == nil || !c.room(n, int(v.size), depth+int(v.height)) {
		return nil
	}
	if c.again += int(v.size); c.again > maxRepeated {
		c.find(n, "too-large", "split it into several pipelines, or use fewer aliases", "aliases repeat more than %d values", maxRepeated)
		c.full = true
		return nil
	}
	return v
}

// items and fields let go of the parser's nodes as they go.
func (c *converter) items(v *value, from *yaml.Node, depth int) {
	if len(from.Content) > maxItems {
		c.find(from, "too-large", "split it into several pipelines", "this list holds %d items, more than %d", len(from.Content), maxItems)
		v.plain = refused
		return
	}
	list := make([]any, 0, len(from.Content))
	v.inner = &inner{items: make([]*value, 0, len(from.Content))}
	for i, n := range from.Content {
		item := c.value(n, depth+1)
		if c.full {
			break
		}
		if item == nil {
			item = newValue(n, refused)
		}
		from.Content[i] = nil
		v.grow(item)
		v.items, list = append(v.items, item), append(list, item.plain)
	}
	v.plain = list
}

// refused stands in Tree for a value that has a finding already, so that nothing
// more is said about it. No text of a file can be the same: NUL is not taken.
const refused = "\x00"

func (v *value) grow(child *value) {
	v.size += child.size
	v.height = max(v.height, child.height+1)
}

func (c *converter) fields(v *value, n *yaml.Node, depth int) {
	content := n.Content
	most := maxKeys
	if n == c.stages {
		most = maxStages
	}
	if len(content)/2 > most {
		c.find(n, "too-large", "split it into several pipelines", "this map holds %d keys, more than %d", len(content)/2, most)
		v.plain = refused
		return
	}
	v.inner = &inner{fields: make([]field, 0, len(content)/2)}
	var from merges
	for i := 0; i+1 < len(content) && !c.full; i += 2 {
		key, below := content[i], content[i+1]
		content[i], content[i+1] = nil, nil
		if key.ShortTag() == "!!merge" {
			c.merge(v, below, &from, depth)
			continue
		}
		name, ok := c.key(key)
		if !ok {
			continue
		}
		if at := v.at(name); at >= 0 && !from.names[name] {
			c.find(key, "duplicate-key", "keep one of the two", "the key %q is already on line %d", name, v.fields[at].key.line)
			continue
		}
		delete(from.names, name)
		if depth == 0 && name == "stages" {
			c.stages = below
		}
		item := c.value(below, depth+1)
		if item == nil {
			item = newValue(below, refused)
		}
		v.set(name, slim(key).mark(), item)
	}
	plain := make(map[string]any, len(v.fields))
	for _, f := range v.fields {
		plain[f.name] = f.value.plain
	}
	v.plain = plain
}

func (v *value) set(name string, key mark, item *value) {
	v.grow(item)
	if i := v.at(name); i >= 0 {
		v.fields[i] = field{name, key, item}
		return
	}
	v.fields = append(v.fields, field{name, key, item})
	switch {
	case v.index != nil:
		v.index[name] = len(v.fields) - 1
	case len(v.fields) > few:
		v.index = make(map[string]int, cap(v.fields))
		for i, f := range v.fields {
			v.index[f.name] = i
		}
	}
}

// merges are the names that a map has from merge keys, and not of its own.
type merges struct{ names map[string]bool }

// key reads the name of a map's entry; numbers and truth values are names too.
func (c *converter) key(n *yaml.Node) (string, bool) {
	const cure = "write a name"
	if n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.ScalarNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || c.source.tag(n) != "" {
		c.find(n, "bad-key", cure, "a key must be text")
		return "", false
	}
	if n.ShortTag() == "!!null" || len(n.Value) > maxBytes>>10 {
		c.find(n, "bad-key", cure, "a key must be text, neither empty nor long")
		return "", false
	}
	c.values++
	return n.Value, true
}

// merge brings in the fields of one map, or of several, that v does not have itself.
func (c *converter) merge(v *value, n *yaml.Node, into *merges, depth int) {
	from := c.value(n, depth)
	if from == nil {
		return
	}
	if into.names == nil {
		into.names = map[string]bool{}
	}
	sources := []*value{from}
	if from.node().is(yaml.SequenceNode) {
		sources = from.items
	}
	for _, source := range sources {
		if !source.node().is(yaml.MappingNode) {
			c.find(n, "alias", "write `<<: *name`, where `&name` is a map", "the merge key `<<` takes a map, or a list of maps")
			return
		}
		for _, f := range source.fields {
			if v.at(f.name) >= 0 {
				continue
			}
			if !c.room(n, int(f.value.size), depth+1+int(f.value.height)) {
				return
			}
			into.names[f.name] = true
			v.set(f.name, f.key, f.value)
		}
	}
}

// scalar reads text, numbers and truth values. Dates stay text, since nothing here
// takes a time, and a version such as 2024-01-02 must not change.
func (c *converter) scalar(n *yaml.Node) any {
	if len(n.Value) > maxText {
		c.find(n, "too-large", "put it into a file and name the file here", "this text has %d bytes, more than %d", len(n.Value), maxText)
		return refused
	}
	if strings.IndexByte(n.Value, 0) >= 0 {
		c.find(n, "bad-character", "remove it", "this text holds a NUL character, which no program can be given")
		return refused
	}
	if n.Style != 0 {
		return n.Value
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value[0] == 't' || n.Value[0] == 'T'
	case "!!int":
		return c.integer(n)
	case "!!float":
		return c.float(n)
	}
	return n.Value
}

func (c *converter) integer(n *yaml.Node) any {
	text := strings.TrimLeft(n.Value, "+-")
	switch {
	case len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9':
		cure := fmt.Sprintf("write %q for text, or leave out the zero", n.Value)
		if octal := strings.TrimLeft(text, "0"); octal != "" && strings.Trim(octal, "01234567") == "" {
			cure = fmt.Sprintf("write %q for text, or 0o%s for the octal number", n.Value, octal)
		}
		c.find(n, "bad-number", cure, "%s begins with a zero: programs do not agree on what that is", n.Value)
		return refused
	case strings.Contains(text, "_"):
		c.find(n, "bad-number", "write the number without _, or quote it to make it text", "%s has an underscore: programs do not agree on what that is", n.Value)
		return refused
	}
	i, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil || i > 1<<53 || i < -(1<<53) {
		return c.tooLarge(n)
	}
	return int(i)
}

func (c *converter) tooLarge(n *yaml.Node) any {
	c.find(n, "bad-number", "quote it to make it text", "the number %.40s is too large to be kept exactly", n.Value)
	return refused
}

func (c *converter) float(n *yaml.Node) any {
	f, err := strconv.ParseFloat(n.Value, 64)
	if err == nil && math.Abs(f) > 1<<53 && !strings.ContainsAny(n.Value, ".eE") {
		return c.tooLarge(n)
	}
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		c.find(n, "bad-number", "write a finite number, or quote it to make it text", "%.40s is not a number that can be used here", n.Value)
		return refused
	}
	return f + 0 // -0 is 0, as it is for whole numbers
}
