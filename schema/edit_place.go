package schema

import "slices"

// targetsAt is where `targets` stands among the tokens of a file.
type targetsAt struct {
	flow    bool  // in braces
	col     int   // of its entries, when not
	entries []int // the token that each begins with
	close   int   // the token behind the last entry: its closing brace, the next key, or one more than there are
}

// targetsIn finds the entries of `targets`; it is false when they are not written where
// the key is.
func targetsIn(tokens []token) (targetsAt, bool) {
	colon := slices.IndexFunc(tokens, func(t token) bool {
		return t.key && t.block != nil && t.block.depth == 0 && tokens[t.first].text() == "targets"
	})
	if colon < 0 {
		return targetsAt{}, false
	}
	first := colon + 1
	for first < len(tokens) && (tokens[first].kind == tokComment || tokens[first].kind == tokAnchor) {
		first++
	}
	switch {
	case first == len(tokens):
		return targetsAt{}, false
	case tokens[first].kind == '{':
		return flowEntries(tokens, first), true
	case tokens[first].block == nil || tokens[first].block.depth != 1 || !tokens[first].starts:
		return targetsAt{}, false
	}
	at := targetsAt{col: tokens[first].block.col, close: len(tokens)}
	for i := first; i < len(tokens); i++ {
		t := tokens[i]
		if t.kind == tokMark || t.key && t.block.depth == 0 {
			at.close = i
			if t.key {
				at.close = t.first
			}
			break
		}
		if t.key && t.block == tokens[first].block {
			at.entries = append(at.entries, t.first)
		}
	}
	return at, true
}

// flowEntries finds the entries of the map that the brace at open begins.
func flowEntries(tokens []token, open int) targetsAt {
	at := targetsAt{flow: true, close: len(tokens)}
	depth, fresh := 0, true
	for i := open; i < len(tokens); i++ {
		switch k := tokens[i].kind; {
		case k == '{' || k == '[':
			depth++
		case k == '}' || k == ']':
			if depth--; depth == 0 {
				at.close = i
				return at
			}
		case depth == 1 && k == ',':
			fresh = true
		case depth == 1 && fresh && k == tokText:
			at.entries, fresh = append(at.entries, i), false
		}
	}
	return at
}

// beforeComments is the last token before i that is no comment.
func beforeComments(tokens []token, i int) int {
	for i--; i > 0 && tokens[i].kind == tokComment; i-- {
	}
	return i
}

// endOf is the offset behind a token.
func (s *Source) endOf(t token) int { return s.offset(t.last+1, t.end+1) }
