package plan

import (
	"fmt"
	"strings"
)

// The bounds of a comment: pages where changes are reviewed take some 65,000 bytes.
const (
	mostRows    = 100
	mostDetails = 40_000
	mostText    = 8_000 // of one diff
	mostKeys    = 6     // that a row of the table names
)

// Markdown shows a difference on a page where a change is reviewed: a table of the
// stages, and the details folded away. Nothing of a value is taken for markup.
func (d Difference) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Plan of %s\n\n%s", code(d.Pipeline), capital(d.Summary()))
	if d.Base != "" {
		b.WriteString(", against " + code(brief(d.Base, longest)))
	}
	b.WriteString(".\n")
	if d.Note != "" {
		fmt.Fprintf(&b, "\nAll is new, since %s.\n", code(brief(d.Note, 4*longest)))
	}
	rows := d.rows()
	if len(rows) > 0 {
		b.WriteString("\n| stage | | what changes |\n|---|---|---|\n")
		b.WriteString(strings.Join(rows[:min(len(rows), mostRows)], ""))
	}
	if n := len(rows) - mostRows; n > 0 {
		fmt.Fprintf(&b, "\n… and %d more.\n", n)
	}
	left := 0
	from := b.Len()
	if len(d.Changes) > 0 {
		d.details(&b, "the pipeline", d.Changes)
	}
	for _, s := range d.Changed {
		if b.Len()-from > mostDetails {
			left++
			continue
		}
		d.details(&b, code(s.Stage), s.Changes)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\nThe details of %s are left out.\n", counted(left, "more stage"))
	}
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (d Difference) rows() []string {
	var out []string
	row := func(stage, word, what string) {
		out = append(out, fmt.Sprintf("| %s | %s | %s |\n", stage, word, what))
	}
	if len(d.Changes) > 0 {
		row("*the pipeline*", "changed", keysOf(d.Changes))
	}
	for _, s := range d.Removed {
		row(code(s.Stage), "removed", code(s.about()))
	}
	for _, s := range d.Added {
		row(code(s.Stage), "added", code(s.about()))
	}
	for _, s := range d.Changed {
		row(code(s.Stage), "changed", keysOf(s.Changes))
	}
	for _, s := range d.Moved {
		row(code(s), "moved", "it comes earlier or later")
	}
	return out
}

func keysOf(cs []Change) string {
	var keys []string
	for _, c := range cs {
		keys = append(keys, code(brief(c.Key, longest)))
	}
	return strings.Join(some(keys, mostKeys), ", ")
}

// details are the changes of one stage, folded away.
func (d Difference) details(b *strings.Builder, title string, cs []Change) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n", title)
	var rows, texts []string
	for _, c := range cs[:min(len(cs), mostRows)] {
		key := code(brief(c.Key, longest))
		if c.Diff != "" {
			texts = append(texts, fmt.Sprintf("\n%s\n\n%s", key, block(c.hunks())))
			continue
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", key, cell(c.Before), cell(c.After)))
	}
	if len(rows) > 0 {
		b.WriteString("| key | before | after |\n|---|---|---|\n" + strings.Join(rows, ""))
	}
	b.WriteString(strings.Join(texts[:min(len(texts), 2)], ""))
	if n := len(cs) - len(rows) - min(len(texts), 2); n > 0 {
		fmt.Fprintf(b, "\n… and %d more.\n", n)
	}
	b.WriteString("\n</details>\n")
}

func cell(v any) string {
	if v == nil {
		return ""
	}
	return code(Words(v))
}

// code is text as HTML shows it, set like code. Whatever Markdown may see in it is
// written as a number, since it looks for its own marks even there.
func code(text string) string {
	const harmless = " .,/-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range text {
		if r < 0x80 && !strings.ContainsRune(harmless, r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteString("</code>")
	return b.String()
}

// block is a fenced block. The fence is longer than any that is in it.
func block(lines []string) string {
	var b strings.Builder
	fence := "```"
	for i, line := range lines {
		if b.Len() > mostText {
			fmt.Fprintf(&b, "… and %s\n", counted(len(lines)-i, "more line"))
			break
		}
		b.WriteString(cutOff(visible(line), 300) + "\n")
	}
	for strings.Contains(b.String(), fence) {
		fence += "`"
	}
	return fence + "diff\n" + b.String() + fence + "\n"
}

// cutOff leaves the beginning of a long line.
func cutOff(line string, most int) string {
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}
