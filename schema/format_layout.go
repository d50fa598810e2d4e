package schema

import (
	"strings"
	"unicode/utf8"
)

// step is how far each level is indented.
const step = 2

// row is one line of what is written.
type row struct {
	indent  int
	text    []byte
	comment string
	line    int  // where the comment stood
	col     int  // and in which column
	end     int  // where what is before it ended there
	alone   bool // there is only the comment
	joined  bool // it goes on in the column of the comment above
}

// layout turns tokens into rows.
type layout struct {
	tokens   []token
	rows     []row
	brackets []int // of each that is open, the indentation of what closes it
	next     int   // the first token that is no comment, after the one at hand
	before   int   // the last one before it; -1: none
}

func layOut(tokens []token) []byte {
	l := &layout{tokens: tokens, before: -1}
	l.lineUpValues()
	for i := range tokens {
		l.token(i)
	}
	lineUpComments(l.rows)
	return render(l.rows)
}

func render(rows []row) []byte {
	var b strings.Builder
	for _, r := range rows {
		if len(r.text) > 0 || r.comment != "" {
			b.WriteString(strings.Repeat(" ", r.indent))
		}
		b.Write(r.text)
		if r.comment != "" && !r.alone {
			b.WriteString(strings.Repeat(" ", r.col-r.indent-utf8.RuneCount(r.text)))
		}
		b.WriteString(r.comment)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// token writes one token behind those before it.
func (l *layout) token(i int) {
	t := &l.tokens[i]
	fresh := i == 0 || t.line > l.tokens[i-1].last
	if fresh && i > 0 && t.line > l.tokens[i-1].last+1 {
		l.rows = append(l.rows, row{})
	}
	switch {
	case t.kind == tokComment:
		l.comment(i, fresh)
		return
	case fresh && t.kind != tokBody:
		l.rows = append(l.rows, row{indent: l.indent(t)})
	case !fresh:
		l.add(space(&l.tokens[i-1], t))
	}
	l.write(t, fresh)
	l.before = i
}

func (l *layout) last() *row { return &l.rows[len(l.rows)-1] }

func (l *layout) add(text string) {
	r := l.last()
	r.text = append(r.text, text...)
}

// write adds the lines of a token.
func (l *layout) write(t *token, fresh bool) {
	switch t.kind {
	case tokBody:
		for _, line := range t.lines {
			l.rows = append(l.rows, row{indent: l.belowHeader(t), text: []byte(line)})
		}
		return
	case '[', '{':
		l.brackets = append(l.brackets, l.closes(t))
	case ']', '}':
		l.brackets = l.brackets[:max(len(l.brackets)-1, 0)]
	}
	l.add(t.text())
	for _, line := range t.lines[1:] {
		l.rows = append(l.rows, row{indent: l.further(t), text: []byte(line)})
	}
}

// column is where the entries of a block begin.
func (b *block) column() int {
	if b == nil {
		return 0
	}
	return step * b.depth
}

// indent is how far a row is indented that begins with t.
func (l *layout) indent(t *token) int {
	switch n := len(l.brackets); {
	case n > 0 && (t.kind == ']' || t.kind == '}'):
		return l.brackets[n-1]
	case n > 0:
		return l.brackets[n-1] + step
	case t.starts || t.block == nil:
		return t.block.column()
	}
	return t.block.column() + step
}

// further is how far the later lines of a text are indented.
func (l *layout) further(t *token) int {
	if n := len(l.brackets); n > 0 {
		return l.brackets[n-1] + step
	}
	return t.block.column() + step
}

// closes is how far the line is indented that closes the bracket t: as far as the
// line that opens it or, in a list, its item.
func (l *layout) closes(t *token) int {
	row := l.last()
	if len(row.text) == 0 || len(l.brackets) > 0 || t.block == nil || row.indent > t.block.column() {
		return row.indent
	}
	if t.block.list {
		return t.block.column() + step
	}
	return t.block.column()
}

// belowHeader is how far a block text is indented. What its header says counts from
// the block that it is in.
func (l *layout) belowHeader(t *token) int {
	if t.extra > 0 {
		return t.block.column() + t.extra
	}
	return t.block.column() + step
}

// space is what stands between two tokens of a line.
func space(left, right *token) string {
	switch {
	case left.kind == ':':
		return strings.Repeat(" ", 1+left.pad)
	case right.kind == ',' || left.kind == '[' || right.kind == ']' || left.kind == '{' && right.kind == '}':
		return ""
	case right.kind == ':' && left.kind != tokAlias: // a name may hold a colon
		return ""
	case right.kind == '}' && left.ambiguous():
		return ""
	}
	return " "
}

// ambiguous reports whether t is text that would be an indicator if a space followed.
func (t *token) ambiguous() bool {
	last := t.lines[len(t.lines)-1]
	return t.kind == tokText && (last == "-" || last == "?" || strings.HasSuffix(last, ":"))
}

// comment writes a comment behind what is on its line, or on a line of its own.
func (l *layout) comment(i int, fresh bool) {
	t := &l.tokens[i]
	if !fresh {
		r := l.last()
		r.comment, r.line, r.col, r.end = t.text(), t.line, t.col, l.tokens[i-1].end
		return
	}
	for l.next <= i || l.next < len(l.tokens) && l.tokens[l.next].kind == tokComment {
		l.next++
	}
	r := row{comment: t.text(), line: t.line, col: t.col, alone: true}
	switch {
	case len(l.brackets) > 0:
		r.indent = l.brackets[len(l.brackets)-1] + step
	default:
		r.indent = l.beside(t)
	}
	if above := l.above(t); above != nil && (above.joined || !above.alone) && !l.beginsAt(t.col) {
		r.joined = true
	}
	l.rows = append(l.rows, r)
}

// above is the row right above, when it has a comment in the same column.
func (l *layout) above(t *token) *row {
	if len(l.rows) == 0 {
		return nil
	}
	if r := l.last(); r.comment != "" && r.line == t.line-1 && r.col == t.col {
		return r
	}
	return nil
}

// beginsAt reports whether the next line with something on it begins in a column.
func (l *layout) beginsAt(col int) bool {
	return l.next < len(l.tokens) && l.tokens[l.next].col == col
}

// beside is how far a comment is indented that has a line of its own: like the line
// below or the block above that began in its column, or else a little further right.
func (l *layout) beside(t *token) int {
	col, indent := -1, 0
	take := func(at, goal int) {
		if better := at >= t.col && (col < t.col || at < col) || at < t.col && at > col; better {
			col, indent = at, goal
		}
	}
	if l.next < len(l.tokens) {
		next := &l.tokens[l.next]
		take(next.col, l.indent(next))
	}
	if l.before >= 0 {
		for b := l.tokens[l.before].block; b != nil; b = b.parent {
			take(b.col, b.column())
		}
	}
	return indent
}

// lineUpValues finds keys below each other whose values were lined up, and keeps
// them so.
func (l *layout) lineUpValues() {
	var group []int
	for i := range l.tokens {
		t := &l.tokens[i]
		if !t.key || i+1 == len(l.tokens) || l.tokens[i+1].line != t.line || l.tokens[i+1].kind == tokComment {
			continue
		}
		if n := len(group); n > 0 {
			if above := group[n-1]; l.tokens[above].block != t.block || l.tokens[above+1].col != l.tokens[i+1].col || !l.rightBelow(above, t.first) {
				l.padKeys(group)
				group = group[:0]
			}
		}
		group = append(group, i)
	}
	l.padKeys(group)
}

// rightBelow reports whether nothing but comments stands between the line of a colon
// and the next key.
func (l *layout) rightBelow(colon, key int) bool {
	for i := key; i > colon; i-- {
		t := &l.tokens[i]
		if t.line > l.tokens[i-1].last+1 || i < key && t.kind != tokComment && t.last != l.tokens[colon].line {
			return false
		}
	}
	return true
}

func (l *layout) padKeys(colons []int) {
	most := 0
	for _, i := range colons {
		most = max(most, l.keyWidth(i))
	}
	for _, i := range colons {
		l.tokens[i].pad = most - l.keyWidth(i)
	}
}

func (l *layout) keyWidth(colon int) int {
	n := 0
	for i := l.tokens[colon].first; i < colon; i++ {
		n += width(l.tokens[i].text()) + len(space(&l.tokens[i], &l.tokens[i+1]))
	}
	return n
}

// lineUpComments moves comments that stood in one column into one column again.
func lineUpComments(rows []row) {
	for i := 0; i < len(rows); {
		if rows[i].comment == "" || rows[i].alone {
			i++
			continue
		}
		from, col := i, 0
		gap := rows[i].col - rows[i].end
		for ; i < len(rows) && (i == from || follows(rows[i-1], rows[i])); i++ {
			if r := rows[i]; !r.alone {
				col, gap = max(col, r.indent+utf8.RuneCount(r.text)), min(gap, r.col-r.end)
			}
		}
		for j := from; j < i; j++ {
			rows[j].col = col + max(gap, 1)
			if rows[j].alone {
				rows[j].indent = rows[j].col
			}
		}
	}
}

// follows reports whether b's comment stands right below a's.
func follows(a, b row) bool {
	return b.comment != "" && b.line == a.line+1 && b.col == a.col && (b.joined || !b.alone)
}
