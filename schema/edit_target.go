package schema

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Setting is one key of a target, and its value as plain maps, slices and scalars.
type Setting struct {
	Name  string
	Value any
}

// ErrByHand says that a file is laid out in a way that is not edited for its writer.
var ErrByHand = errors.New("edit it by hand")

// ErrOnlyTarget says that a workspace would be left without any target.
var ErrOnlyTarget = errors.New("it is the only target of the workspace: add another one first")

// AddTarget writes a target at the end of those of a workspace's file, and leaves every
// other byte of it as it is. A file without `targets` has one target, local, and keeps
// it. Where the file cannot be edited the error wraps ErrByHand and says what to write.
func AddTarget(data []byte, name string, settings []Setting) ([]byte, error) {
	s, err := readMap(data)
	if err != nil {
		return nil, err
	}
	entry := targetEntry(name, settings)
	wanted := maps.Clone(asMap(s.Tree))
	targets := maps.Clone(asMap(wanted["targets"]))
	if _, said := wanted["targets"]; !said {
		targets = map[string]any{"local": map[string]any{"kind": "local"}}
	}
	if targets == nil {
		return nil, byHand(entry)
	}
	if _, there := targets[name]; there {
		return nil, fmt.Errorf("target %q is there already", name)
	}
	values := map[string]any{}
	for _, set := range settings {
		values[set.Name] = set.Value
	}
	targets[name], wanted["targets"] = values, targets
	out, ok := s.insertTarget(entry)
	if !ok || !says(out, wanted) {
		return nil, byHand(entry)
	}
	return s.marked(data, out), nil
}

// RemoveTarget takes a target out of a workspace's file, with what stands behind it on
// its lines, and leaves every other byte as it is.
func RemoveTarget(data []byte, name string) ([]byte, error) {
	s, err := readMap(data)
	if err != nil {
		return nil, err
	}
	wanted := maps.Clone(asMap(s.Tree))
	targets := maps.Clone(asMap(wanted["targets"]))
	if _, there := targets[name]; !there {
		return nil, fmt.Errorf("%s has no target %q", FileName, name)
	}
	if len(targets) == 1 {
		return nil, ErrOnlyTarget
	}
	delete(targets, name)
	wanted["targets"] = targets
	out, ok := s.dropTarget(name)
	if !ok || !says(out, wanted) {
		return nil, fmt.Errorf("the way in which %s is laid out keeps the target %q from being taken out: %w", FileName, name, ErrByHand)
	}
	return s.marked(data, out), nil
}

// readMap reads a file that must hold keys.
func readMap(data []byte) (*Source, error) {
	s, fs := Read(FileName, data)
	if fs.Bad() {
		return nil, fs
	}
	if asMap(s.Tree) == nil {
		return nil, fmt.Errorf("%s holds no keys: begin it with `amlflow: v1`", FileName)
	}
	return s, nil
}

// marked is an edited text behind the byte order mark that the file begins with, if any.
func (s *Source) marked(data, out []byte) []byte {
	return slices.Concat(data[:len(data)-len(s.data)], out)
}

func byHand(entry string) error {
	return fmt.Errorf("the way in which %s is laid out keeps a target from being written into it; add below `targets`:\n  %s\n: %w", FileName, entry, ErrByHand)
}

// says reports whether text says what is wanted. Whatever was edited is held against
// this, so that no way of writing YAML can make an edit say something else.
func says(text []byte, wanted map[string]any) bool {
	s, fs := Read("", text)
	return !fs.Bad() && reflect.DeepEqual(s.Tree, any(wanted))
}

// targetEntry is a target as it is written on one line.
func targetEntry(name string, settings []Setting) string {
	var parts []string
	for _, set := range settings {
		parts = append(parts, flowYAML(set.Name)+": "+flowYAML(set.Value))
	}
	return flowYAML(name) + ": { " + strings.Join(parts, ", ") + " }"
}

// insertTarget writes an entry behind the last one of `targets`.
func (s *Source) insertTarget(entry string) ([]byte, bool) {
	tokens, refused := s.tokens()
	if refused != nil {
		return nil, false
	}
	if _, said := s.Value("/targets"); !said {
		return s.appendTargets(entry), true
	}
	at, ok := targetsIn(tokens)
	if !ok {
		return nil, false
	}
	last := beforeComments(tokens, at.close)
	if at.flow {
		opening := " " + entry
		switch {
		case tokens[last].kind != '{' && tokens[last].kind != ',':
			opening = "," + opening
		case tokens[last].kind == '{':
			opening += " "
		}
		return s.splice(s.endOf(tokens[last]), s.endOf(tokens[last]), opening), true
	}
	end := s.lines[tokens[last].last].end
	return s.splice(end, end, s.lineEnd()+strings.Repeat(" ", at.col)+entry), true
}

// appendTargets writes `targets` at the end of a file that has none.
func (s *Source) appendTargets(entry string) []byte {
	nl := s.lineEnd()
	head := nl
	if text := string(s.data); !strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\r") {
		head = nl + nl
	}
	return s.splice(len(s.data), len(s.data), head+"targets:"+nl+"  local: { kind: local }"+nl+"  "+entry+nl)
}

// dropTarget takes one entry of `targets` out.
func (s *Source) dropTarget(name string) ([]byte, bool) {
	tokens, refused := s.tokens()
	if refused != nil {
		return nil, false
	}
	at, ok := targetsIn(tokens)
	if !ok {
		return nil, false
	}
	i := slices.IndexFunc(at.entries, func(e int) bool { return strings.Trim(tokens[e].text(), `"'`) == name })
	if i < 0 {
		return nil, false
	}
	next := at.close
	if i+1 < len(at.entries) {
		next = at.entries[i+1]
	}
	from, to := tokens[at.entries[i]], tokens[beforeComments(tokens, next)]
	switch {
	case !at.flow:
		start, end := s.lines[from.line].start, len(s.data)
		if to.last+1 < len(s.lines) {
			end = s.lines[to.last+1].start
		}
		return s.splice(start, end, ""), true
	case i+1 < len(at.entries):
		return s.splice(from.at, tokens[next].at, ""), true
	}
	return s.splice(s.endOf(tokens[at.entries[i]-2]), s.endOf(to), ""), true
}

// splice replaces the bytes from one offset to another.
func (s *Source) splice(from, to int, text string) []byte {
	return slices.Concat(s.data[:from], []byte(text), s.data[to:])
}

// lineEnd is how the file ends its lines.
func (s *Source) lineEnd() string {
	if strings.Contains(string(s.data), "\r\n") {
		return "\r\n"
	}
	return "\n"
}
