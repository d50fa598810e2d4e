package plan

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Forms are the forms in which Draw draws, the usual one first.
func Forms() []string { return []string{"text", "mermaid", "dot"} }

// Draw draws the stages of a plan and what each waits for: for a terminal, or as
// Mermaid or DOT for programs that make pictures. It is false when there is no such
// form. The time it takes grows with the stages and what they need.
func Draw(p *Plan, form string) (string, bool) {
	var b strings.Builder
	switch form {
	case "text":
		drawText(&b, p)
	case "mermaid":
		drawMermaid(&b, p)
	case "dot":
		drawDOT(&b, p)
	default:
		return "", false
	}
	return b.String(), true
}

// kind is what a stage does, in a word.
func kind(s *Stage) string {
	switch {
	case s.Batch != nil:
		return "batch"
	case s.Deploy != nil:
		return "deploy"
	case s.Approve != nil:
		return "approve"
	case s.Nested != nil:
		return "pipeline"
	case len(s.Command) > 0:
		return "command"
	}
	return "script"
}

// does is the kind with the name of what it is about, and how often it runs.
func does(s *Stage) string {
	what := kind(s)
	switch {
	case s.Deploy != nil:
		what += " " + s.Deploy.Endpoint
	case s.Nested != nil && s.Nested.Plan != nil:
		what += " " + s.Nested.Plan.Pipeline
	}
	if s.Sweep != nil {
		what += ", as trials"
	}
	switch f := s.Fan; {
	case f == nil:
	case f.List != nil:
		what += ", for each item"
	default:
		what += fmt.Sprintf(", %d times", len(f.Items))
	}
	return what
}

// where names the targets of a stage, in order.
func where(s *Stage) string {
	names := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		names[i] = t.Name
	}
	return strings.Join(names, ", else ")
}

// when is the condition of a stage; "" when it has none.
func when(s *Stage) string {
	switch c := s.If; {
	case c == nil:
		return ""
	case c.Expr != "":
		return "if " + brief(bare(c.Expr), 60)
	case c.Known:
		return "if true"
	}
	return "if false: skipped"
}

// bare is an expression without its braces.
func bare(expr string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(expr), "${{"), "}}"))
}

// brief is text on one line, of at most so many characters, without any that steer
// a terminal.
func brief(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// label is what stands in the box of a stage, line by line, its name first.
func label(s *Stage) []string {
	lines := []string{s.Name, does(s)}
	if at := where(s); at != "" {
		lines = append(lines, "on "+at)
	}
	if c := when(s); c != "" {
		lines = append(lines, c)
	}
	return lines
}

// numbers gives every stage its place in the plan.
func numbers(p *Plan) map[string]int {
	n := make(map[string]int, len(p.Stages))
	for i, s := range p.Stages {
		n[s.Name] = i
	}
	return n
}

// links calls with the two ends of every need, in the order of the plan.
func links(p *Plan, call func(from, to int, data bool)) {
	n := numbers(p)
	for i, s := range p.Stages {
		for _, need := range s.Needs {
			if from, ok := n[need.Stage]; ok {
				call(from, i, need.Data)
			}
		}
	}
}

// split parts the stages from those of `finally`, which come last.
func split(p *Plan) (usual, finally int) {
	for i, s := range p.Stages {
		if s.Finally {
			return i, len(p.Stages)
		}
	}
	return len(p.Stages), len(p.Stages)
}
