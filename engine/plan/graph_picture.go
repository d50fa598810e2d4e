package plan

import (
	"fmt"
	"strings"
)

// drawMermaid writes a flowchart as mermaid.js.org describes it. Stages go by number:
// a name such as `end` is a word of that language.
func drawMermaid(b *strings.Builder, p *Plan) {
	b.WriteString("flowchart LR\n")
	usual, end := split(p)
	for i := range usual {
		mermaidBox(b, "  ", i, &p.Stages[i])
	}
	if usual < end {
		b.WriteString("  subgraph finally\n")
		for i := usual; i < end; i++ {
			mermaidBox(b, "    ", i, &p.Stages[i])
		}
		b.WriteString("  end\n")
	}
	links(p, func(from, to int, data bool) {
		arrow := "-->"
		if !data {
			arrow = "-.->"
		}
		fmt.Fprintf(b, "  s%d %s s%d\n", from, arrow, to)
	})
}

// mermaidShapes are the boxes of kinds that have one of their own.
var mermaidShapes = map[string][2]string{"deploy": {"([", "])"}, "approve": {"{{", "}}"}, "pipeline": {"[[", "]]"}}

func mermaidBox(b *strings.Builder, indent string, i int, s *Stage) {
	shape, ok := mermaidShapes[kind(s)]
	if !ok {
		shape = [2]string{"[", "]"}
	}
	lines := label(s)
	for j := range lines {
		lines[j] = mermaidText(lines[j])
	}
	fmt.Fprintf(b, "%ss%d%s\"%s\"%s\n", indent, i, shape[0], strings.Join(lines, "<br/>"), shape[1])
	if s.If != nil {
		fmt.Fprintf(b, "%sstyle s%d stroke-dasharray: 4\n", indent, i)
	}
}

// mermaidText writes what could end a label, or begin markup in it, as entities.
func mermaidText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\"#&<>`\\|;{}[]()*~$%", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// drawDOT writes the language of Graphviz.
func drawDOT(b *strings.Builder, p *Plan) {
	fmt.Fprintf(b, "digraph %s {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n", dotText(p.Pipeline))
	usual, end := split(p)
	for i := range usual {
		dotBox(b, "  ", i, &p.Stages[i])
	}
	if usual < end {
		b.WriteString("  subgraph cluster_finally {\n    label=\"finally\";\n    style=dashed;\n")
		for i := usual; i < end; i++ {
			dotBox(b, "    ", i, &p.Stages[i])
		}
		b.WriteString("  }\n")
	}
	links(p, func(from, to int, data bool) {
		style := ""
		if !data {
			style = " [style=dashed]"
		}
		fmt.Fprintf(b, "  s%d -> s%d%s;\n", from, to, style)
	})
	b.WriteString("}\n")
}

// dotShapes are the boxes of kinds that have one of their own.
var dotShapes = map[string]string{"deploy": "component", "approve": "hexagon", "pipeline": "box3d"}

func dotBox(b *strings.Builder, indent string, i int, s *Stage) {
	more := ""
	if shape, ok := dotShapes[kind(s)]; ok {
		more += ", shape=" + shape
	}
	if s.If != nil {
		more += ", style=\"rounded,dashed\""
	}
	fmt.Fprintf(b, "%ss%d [label=%s%s];\n", indent, i, dotText(label(s)...), more)
}

// dotText is text in quotes, its lines below each other.
func dotText(lines ...string) string {
	quoted := make([]string, len(lines))
	for i, line := range lines {
		quoted[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(line)
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}
