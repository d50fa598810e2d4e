package schema

import "strings"

// blockText takes | or > with its comment and the lines below it. Of these, only
// the indentation that all of them share is layout.
func (l *lexer) blockText(n node) {
	stop, eol := l.at, l.endOfLine()
	for stop < eol && strings.IndexByte("|>+-0123456789", l.s.data[stop]) >= 0 {
		stop++
	}
	words := string(l.s.data[l.at:stop])
	head := len(l.tokens)
	extra := 0
	if i := strings.IndexAny(words, "123456789"); i >= 0 {
		extra = int(words[i] - '0')
	}
	l.add(tokHeader, stop, words).extra = extra
	l.gap(eol)
	lines, last := l.bodyLines(extra, strings.Contains(words, "+"))
	if l.at = l.s.lines[last].end; len(lines) == 0 {
		return
	}
	if last == len(l.s.lines)-1 && lines[len(lines)-1] != "" && !strings.Contains(words, "-") {
		// The text ends with the file and has no line end; the file will have one.
		l.tokens[head].lines[0] = strings.TrimRight(words, "+") + "-"
	}
	first := l.tokens[head].last + 1
	at := l.s.lines[first].start
	l.tokens = append(l.tokens, token{kind: tokBody, lines: lines, value: n.value, extra: extra, at: at, line: first, last: last, end: l.s.lines[last].end - l.s.lines[last].start})
}

// bodyLines are the lines of a block text without their indentation, and the number
// of the last. Empty lines at its end are its own only when they are kept.
func (l *lexer) bodyLines(extra int, keep bool) (lines []string, last int) {
	from, _ := l.s.lineCol(l.at)
	last = from
	indent := l.indentation(from+1, extra)
	ends := 0 // how many lines there are up to the last that counts
	for i := from + 1; i < len(l.s.lines); i++ {
		line := l.s.Line(i + 1)
		empty := strings.TrimLeft(line, " ") == "" && len(line) <= indent
		switch {
		case empty && i == len(l.s.lines)-1: // behind the last line end there is no line
			return lines[:ends], last
		case empty:
			lines = append(lines, "")
		case len(line)-len(strings.TrimLeft(line, " ")) < indent:
			return lines[:ends], last
		default:
			lines = append(lines, line[indent:])
		}
		if !empty || keep {
			ends, last = len(lines), i
		}
	}
	return lines[:ends], last
}

// indentation is what the header says, or that of the first line with text: at
// least one more than that of the list or map around it.
func (l *lexer) indentation(from, extra int) int {
	outer := l.nest.through(l.tokens)
	if extra > 0 {
		return extra + max(outer, 0)
	}
	most := max(outer+1, 1)
	for i := from; i < len(l.s.lines); i++ {
		line := l.s.Line(i + 1)
		lead := len(line) - len(strings.TrimLeft(line, " "))
		if most = max(most, lead); lead < len(line) {
			break
		}
	}
	return most
}

// block is a map or list that is written without brackets.
type block struct {
	parent *block
	list   bool
	col    int // where its entries begin in the file
	depth  int // from 0: in how many others it is
}

// nest follows the indentation of a file, as the parser does.
type nest struct {
	top      *block
	brackets int
	done     int // tokens so far
}

// through takes in more tokens, and gives the column of the innermost block; -1
// outside of all.
func (n *nest) through(tokens []token) int {
	for ; n.done < len(tokens); n.done++ {
		t := &tokens[n.done]
		switch {
		case t.kind == '[' || t.kind == '{':
			n.brackets++
		case t.kind == ']' || t.kind == '}':
			n.brackets--
		case n.brackets > 0 || t.kind == tokComment:
		case t.kind == tokMark:
			n.top = nil
		case t.kind == '-':
			n.enter(t, true)
		case n.done > 0 && tokens[n.done-1].kind == tokAnchor && tokens[n.done-1].starts: // the key has begun
		default:
			if colon := keyEnd(tokens, n.done); colon > 0 {
				n.enter(t, false)
				tokens[colon].first, tokens[colon].key = n.done, true
			}
		}
		t.block = n.top
	}
	if n.top == nil {
		return -1
	}
	return n.top.col
}

// enter goes to the block that an entry at the column of t belongs to.
func (n *nest) enter(t *token, list bool) {
	for n.top != nil && (n.top.col > t.col || n.top.col == t.col && n.top.list && !list) {
		n.top = n.top.parent
	}
	if n.top == nil || n.top.col < t.col || n.top.list != list {
		depth := 0
		if n.top != nil {
			depth = n.top.depth + 1
		}
		n.top = &block{parent: n.top, list: list, col: t.col, depth: depth}
	}
	t.starts = true
}

// keyEnd is the colon behind the key that begins with token i, perhaps with an
// anchor; 0 when no key begins there.
func keyEnd(tokens []token, i int) int {
	line := tokens[i].line
	if tokens[i].kind == tokAnchor {
		i++
	}
	if i+1 < len(tokens) && (tokens[i].kind == tokText || tokens[i].kind == tokAlias) && tokens[i+1].kind == ':' && tokens[i+1].line == line {
		return i + 1
	}
	return 0
}
