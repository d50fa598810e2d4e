package expr

import (
	"fmt"
	"sort"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// verdict explains every slot that is not an expansion for the shell.
func (s *survey) verdict() ([]use, []Error) {
	for at := range s.slots {
		if !s.found[at] {
			s.explain(at)
		}
	}
	sort.SliceStable(s.errors, func(i, j int) bool { return s.errors[i].Offset < s.errors[j].Offset })
	return s.uses, s.errors
}

func (s *survey) explain(at int) {
	slot := s.slots[at]
	around := s.smallest(slot.start, slot.end)
	if around == nil {
		s.reject(at, CodeNotExpanded, "the shell does not expand this expression here", s.beforeHint(slot))
		return
	}
	if around.code != nil {
		s.reject(at, CodeInCode, around.code.message(), around.code.cure(s.expr(at)))
		return
	}
	switch x := around.node.(type) {
	case *syntax.Comment:
		s.uses[at] = use{form: comments}
	case *syntax.SglQuoted:
		s.reject(at, CodeNotExpanded, "the shell expands nothing between single quotes", s.quoteHint(x))
	default:
		s.reject(at, CodeNotExpanded, "the shell expands nothing in a here-document whose end word is quoted", "take the quotes off the word after <<, and write a backslash before any other $ or ` inside")
	}
}

// smallest finds the shortest of the noted stretches around a slot.
func (s *survey) smallest(from, to int) *span {
	var best *span
	for i := range s.spans {
		x := &s.spans[i]
		if x.from <= from && to <= x.to && (best == nil || x.to-x.from < best.to-best.from) {
			best = x
		}
	}
	return best
}

func (s *survey) beforeHint(slot slot) string {
	switch before := s.text[:slot.start]; {
	case strings.HasSuffix(before, `\`):
		return `take the backslash away: write ${{ ` + slot.part.Expr + ` }}`
	case strings.HasSuffix(before, "$"):
		return "take away the $ that stands before it"
	}
	return fmt.Sprintf("keep it in a variable first: value=${{ %s }}, and write $value here", slot.part.Expr)
}

// quoteHint writes out the quoted text so that its expressions are expanded, and nothing else changes.
func (s *survey) quoteHint(q *syntax.SglQuoted) string {
	from, to := s.original(int(q.Left.Offset())), s.original(int(q.End().Offset()))
	written := s.source(from, to)
	body := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(written, "$"), "'"), "'")
	mark, quote := "'", `'`
	if q.Dollar {
		mark = "$'"
	}
	t, errs := Split(body)
	if len(errs) > 0 || len(written) > 200 {
		return `close the single quote before it and open it again behind it: 'text '${{ … }}' text'`
	}
	if !strings.ContainsAny(literals(t), "$`\\\"!\n") {
		return "use double quotes: \"" + body + `"`
	}
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Expr != "" {
			b.WriteString(body[p.Start:p.End])
			continue
		}
		b.WriteString(mark + p.Literal + quote)
	}
	return "close the single quotes round it: " + b.String()
}

func literals(t Template) string {
	var b strings.Builder
	for _, p := range t.Parts {
		b.WriteString(p.Literal)
	}
	return b.String()
}

// source gives a stretch of the script as it was written.
func (d *drafted) source(from, to int) string {
	var b strings.Builder
	for _, p := range d.parts {
		text := p.Literal
		if p.Expr != "" {
			text = opening + " " + p.Expr + " " + ending
			if from <= p.Start && p.End <= to {
				b.WriteString(text)
			}
			continue
		}
		lo, hi := max(from-p.Start, 0), min(to-p.Start, len(text))
		if lo < hi {
			b.WriteString(text[lo:hi])
		}
	}
	return b.String()
}
