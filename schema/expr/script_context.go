package expr

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// decide goes from the expansion outwards until it is plain how the shell reads it.
func (s *survey) decide() use {
	inQuotes, inPattern, alone := false, false, s.alone()
	for i := len(s.stack) - 1; i >= 0; i-- {
		switch x := s.stack[i].(type) {
		case *syntax.DblQuoted:
			if inPattern {
				return use{Word, quoted}
			}
			inQuotes = true
		case *syntax.ParamExp:
			inPattern = inPattern || !inQuotes && !keepsWords(x)
			if s.isBelow(i, x.Index) {
				return s.subscript(i, inQuotes, alone)
			}
		case *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.CStyleLoop:
			return numeric(inQuotes, alone)
		case *syntax.LetClause:
			return use{Arithmetic, bare}
		case *syntax.BinaryTest:
			if isNumericTest(x.Op) {
				return use{Arithmetic, quotedUnless(inQuotes)}
			}
		case *syntax.UnaryTest:
			if x.Op == syntax.TsVarSet || x.Op == syntax.TsRefVar {
				return use{Arithmetic, quotedUnless(inQuotes)}
			}
		case *syntax.Assign:
			if s.isBelow(i, x.Index) {
				return s.subscript(i, inQuotes, alone)
			}
			if i > 0 && declaresInteger(s.stack[i-1]) {
				return use{Arithmetic, quotedUnless(inQuotes)}
			}
		case *syntax.ArrayElem:
			if s.isBelow(i, x.Index) {
				return s.subscript(i, inQuotes, alone)
			}
		case *syntax.Redirect:
			if x.Hdoc != nil && s.isBelow(i, x.Hdoc) {
				return heredoc(inPattern)
			}
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.Stmt:
			return word(inQuotes)
		}
	}
	return word(inQuotes)
}

func word(inQuotes bool) use {
	if inQuotes {
		return use{Quoted, bare}
	}
	return use{Word, quoted}
}

func heredoc(inPattern bool) use {
	if inPattern {
		return use{Heredoc, quoted}
	}
	return use{Heredoc, bare}
}

func numeric(inQuotes, alone bool) use {
	if !inQuotes && alone {
		return use{Arithmetic, bracket}
	}
	return use{Arithmetic, bare}
}

func quotedUnless(inQuotes bool) form {
	if inQuotes {
		return bare
	}
	return quoted
}

// alone says whether the expansion is the whole of its word: 1${{ x }} is not, and takes no brackets.
func (s *survey) alone() bool {
	if len(s.stack) == 0 {
		return false
	}
	w, ok := s.stack[len(s.stack)-1].(*syntax.Word)
	return ok && len(w.Parts) == 1
}

// keepsWords says that an expansion such as ${v:-word} takes its word as text, where ${v#word} takes it as a pattern.
func keepsWords(p *syntax.ParamExp) bool {
	if p.Repl != nil {
		return false
	}
	if p.Exp == nil {
		return true
	}
	switch p.Exp.Op {
	case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix,
		syntax.UpperFirst, syntax.UpperAll, syntax.LowerFirst, syntax.LowerAll:
		return false
	}
	return true
}

// isBelow says whether part is the child, at this place of the stack, that leads to the expansion.
func (s *survey) isBelow(at int, part syntax.Node) bool {
	return part != nil && at+1 < len(s.stack) && s.stack[at+1] == part
}

// subscript is a[…]: brackets round the whole of it would become part of the name in an associative array.
func (s *survey) subscript(at int, inQuotes, alone bool) use {
	_, whole := s.stack[at+1].(*syntax.Word)
	return numeric(inQuotes, alone && !whole)
}

func isNumericTest(op syntax.BinTestOperator) bool {
	switch op {
	case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
		return true
	}
	return false
}

// declaresInteger finds `declare -i`, which evaluates what is assigned.
func declaresInteger(n syntax.Node) bool {
	clause, ok := n.(*syntax.DeclClause)
	if !ok {
		return false
	}
	for _, arg := range clause.Args {
		if arg.Naked && arg.Value != nil {
			if flag, ok := literal(arg.Value); ok && strings.HasPrefix(flag, "-") && strings.Contains(flag, "i") {
				return true
			}
		}
	}
	return false
}
