package expr

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// survey walks the syntax tree of the draft and notes where the slots are.
type survey struct {
	*drafted
	bySpot map[int]int // offset in the draft → slot
	stack  []syntax.Node
	uses   []use
	found  []bool
	errors []Error
	faults map[int]bool // slots that have an error
	code   map[*syntax.Word]codeArg
	spans  []span
}

// span is a stretch of the draft in which the shell expands nothing, or that is run as code.
type span struct {
	from, to int
	node     syntax.Node
	code     *codeArg
}

func newSurvey(d *drafted) *survey {
	s := &survey{drafted: d, bySpot: map[int]int{}, uses: make([]use, len(d.slots)), found: make([]bool, len(d.slots)),
		faults: map[int]bool{}, code: map[*syntax.Word]codeArg{}}
	for i, slot := range d.slots {
		s.bySpot[slot.start] = i
	}
	return s
}

func (s *survey) visit(n syntax.Node) bool {
	if n == nil {
		s.stack = s.stack[:len(s.stack)-1]
		return true
	}
	switch x := n.(type) {
	case *syntax.Comment:
		s.note(n, nil)
	case *syntax.SglQuoted:
		s.note(n, s.codeAround())
	case *syntax.ArithmExp:
		if x.X == nil {
			return false // Walk does not take an empty $(( ))
		}
	case *syntax.ArithmCmd:
		if x.X == nil {
			return false
		}
	case *syntax.Stmt:
		s.commands(x)
	case *syntax.Redirect:
		s.redirect(x)
	case *syntax.ParamExp:
		s.expansion(x)
	}
	s.stack = append(s.stack, n)
	if p, ok := n.(*syntax.ParamExp); ok && p.Slice != nil {
		s.sliceOf(p.Slice) // Walk leaves this out
	}
	return true
}

func (s *survey) sliceOf(x *syntax.Slice) {
	for _, part := range []syntax.ArithmExpr{x.Offset, x.Length} {
		if part != nil {
			syntax.Walk(&syntax.ArithmExp{X: part}, s.visit)
		}
	}
}

func (s *survey) note(n syntax.Node, code *codeArg) {
	s.spans = append(s.spans, span{int(n.Pos().Offset()), int(n.End().Offset()), n, code})
}

// commands notes which words of a command another shell or interpreter will run, and whether its input is a program.
func (s *survey) commands(stmt *syntax.Stmt) {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	args, input := codeArgs(call.Args)
	for word, arg := range args {
		s.code[word] = arg
	}
	if input == nil {
		return
	}
	for _, r := range stmt.Redirs {
		if r.Hdoc != nil {
			s.code[r.Hdoc] = *input
		} else if r.Op == syntax.WordHdoc {
			s.code[r.Word] = *input
		}
	}
}

func (s *survey) redirect(r *syntax.Redirect) {
	if r.Hdoc == nil || !isQuoted(r.Word) {
		return
	}
	code, isCode := s.code[r.Hdoc]
	if isCode {
		s.note(r.Hdoc, &code)
		return
	}
	s.note(r.Hdoc, nil)
}

// isQuoted says whether a here-document's delimiter is quoted, so that nothing in it is expanded.
func isQuoted(delimiter *syntax.Word) bool {
	for _, part := range delimiter.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok || strings.Contains(lit.Value, `\`) {
			return true
		}
	}
	return false
}

// expansion decides on a parameter expansion when it is one of the slots.
func (s *survey) expansion(p *syntax.ParamExp) {
	at, ok := s.bySpot[int(p.Dollar.Offset())]
	if !ok || p.Param == nil || p.Param.Value != s.slots[at].name {
		return
	}
	s.found[at] = true
	if code := s.codeAround(); code != nil {
		s.reject(at, CodeInCode, code.message(), code.cure(s.expr(at)))
		return
	}
	if s.isDelimiter() {
		s.reject(at, CodeNotExpanded, "the word that ends a here-document is not expanded", "write the word itself")
		return
	}
	s.uses[at] = s.decide()
}

func (s *survey) expr(at int) string { return opening + " " + s.slots[at].part.Expr + " " + ending }

func (s *survey) reject(at int, code, message, hint string) {
	p := s.slots[at].part
	s.faults[at] = true
	s.errors = append(s.errors, Error{Offset: p.Start, End: p.End, Code: code, Message: message, Hint: hint})
}

// codeAround is the code that the current node is part of, or nil.
func (s *survey) codeAround() *codeArg {
	for i := len(s.stack) - 1; i >= 0; i-- {
		if word, ok := s.stack[i].(*syntax.Word); ok {
			if code, ok := s.code[word]; ok {
				return &code
			}
		}
	}
	return nil
}

func (s *survey) isDelimiter() bool {
	for i := len(s.stack) - 1; i > 0; i-- {
		r, ok := s.stack[i-1].(*syntax.Redirect)
		if ok && (r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc) && s.stack[i] == syntax.Node(r.Word) {
			return true
		}
	}
	return false
}
