package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// longest is how much of a value a line shows.
const longest = 60

// Text shows a difference to a person: a line for each stage, "+" for a new one, "-"
// for one that is gone and "~" for one that changes, and what changes below it.
func (d Difference) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline %s%s: %s\n", d.Pipeline, after(" against ", d.Base), d.Summary())
	if d.Note != "" {
		fmt.Fprintf(&b, "all is new, since %s\n", visible(d.Note))
	}
	section := func(rows []string) {
		if len(rows) > 0 {
			b.WriteString("\n" + strings.Join(rows, "\n") + "\n")
		}
	}
	section(changeLines("", d.Changes))
	section(append(briefLines("-", d.Removed), briefLines("+", d.Added)...))
	for _, s := range d.Changed {
		section(append([]string{"~ " + s.Stage}, changeLines("    ", s.Changes)...))
	}
	if len(d.Moved) > 0 {
		section([]string{"comes earlier or later: " + strings.Join(some(d.Moved, 20), ", ")})
	}
	return b.String()
}

// after puts a word before text, if there is any.
func after(word, text string) string {
	if text == "" {
		return ""
	}
	return word + text
}

// Summary counts what changes.
func (d Difference) Summary() string {
	if d.Empty() {
		return "nothing changes"
	}
	var parts []string
	count := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(len(d.Added), "added")
	count(len(d.Removed), "removed")
	count(len(d.Changed), "changed")
	count(len(d.Moved), "moved")
	if len(d.Changes) > 0 {
		parts = append(parts, counted(len(d.Changes), "change")+" of the pipeline")
	}
	return strings.Join(parts, ", ")
}

func briefLines(sign string, stages []Brief) []string {
	wide := 0
	for _, s := range stages {
		wide = max(wide, utf8.RuneCountInString(s.Stage))
	}
	rows := make([]string, len(stages))
	for i, s := range stages {
		rows[i] = strings.TrimRight(fmt.Sprintf("%s %-*s  %s", sign, wide, s.Stage, s.about()), " ")
	}
	return rows
}

// about is what a stage does, and where.
func (b Brief) about() string {
	if b.Where == "" {
		return b.Does
	}
	return b.Does + " on " + b.Where
}

func changeLines(indent string, cs []Change) []string {
	wide := 0
	for _, c := range cs {
		wide = max(wide, utf8.RuneCountInString(c.Key))
	}
	var rows []string
	for _, c := range cs {
		if c.Diff == "" {
			rows = append(rows, fmt.Sprintf("%s%-*s  %s", indent, wide, brief(c.Key, longest), c.Arrow()))
			continue
		}
		rows = append(rows, indent+c.Key)
		for _, line := range c.hunks() {
			rows = append(rows, strings.TrimRight(indent+"  "+visible(line), " "))
		}
	}
	return rows
}

// hunks are the lines of a diff without its headers.
func (c Change) hunks() []string {
	lines := strings.Split(strings.TrimSuffix(c.Diff, "\n"), "\n")
	return lines[min(2, len(lines)):]
}

// visible is a line without what steers a terminal.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, line)
}

// Arrow shows a change on one line: what was, an arrow, what will be.
func (c Change) Arrow() string {
	switch {
	case c.Before == nil:
		return "+ " + Words(c.After)
	case c.After == nil:
		return "- " + Words(c.Before)
	}
	return Words(c.Before) + " -> " + Words(c.After)
}

// Words is a value on one line, as short as it can be read.
func Words(v any) string {
	text, ok := v.(string)
	if !ok {
		b, _ := json.Marshal(v)
		text = string(unescaped(b))
	}
	if list, ok := v.([]string); ok {
		text = strings.Join(list, ", ")
	}
	if digest := strings.Index(text, "sha256:"); digest >= 0 && len(text) > digest+19 && !strings.Contains(text, " ") {
		text = text[:digest+19] // enough of it to tell it from others
	}
	if text == "" {
		return `""`
	}
	return brief(text, longest)
}

// unescaped writes < > and & as they are: JSON for pages has them otherwise.
func unescaped(b []byte) []byte {
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b)))
}

// some are the first names of a list, and how many more there are.
func some(names []string, most int) []string {
	if len(names) <= most {
		return names
	}
	return append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
}
