package mask

// The bounds of what is looked for.
const (
	// longest is the most bytes of one form: longer ones are looked for in pieces,
	// so that little of a text has to be kept back.
	longest = 1024
	// mostBreaks is how many bytes of line breaks in a row are passed over. What
	// stands further apart in a secret is masked line by line.
	mostBreaks = 4
)

// automaton finds all forms in one pass over a text, whatever they share
// (Aho and Corasick, 1975). Node 0 is the root. Nodes have lists of children, not
// tables: long forms have a million nodes.
type automaton struct {
	nodes []node
	first [256]int32 // the children of the root
}

type node struct {
	child, sibling int32
	fail           int32  // the longest other suffix of this that some form begins with
	depth, match   uint16 // of the node; of the longest form that ends here
	byte           byte
}

func isBreak(b byte) bool { return b == '\n' || b == '\r' }

// add makes a form known, in pieces when it is long.
func (a *automaton) add(form string) {
	for pieces := (len(form) + longest - 1) / longest; pieces > 0; pieces-- {
		n := len(form) / pieces
		a.piece(form[:n])
		form = form[n:]
	}
}

// piece adds one text without its line breaks: they are passed over in texts, too.
func (a *automaton) piece(text string) {
	at := int32(0)
	for i := range len(text) {
		if !isBreak(text[i]) {
			at = a.grow(at, text[i])
		}
	}
	a.nodes[at].match = a.nodes[at].depth
}

func (a *automaton) grow(at int32, b byte) int32 {
	if next := a.childOf(at, b); next != 0 {
		return next
	}
	next := int32(len(a.nodes))
	a.nodes = append(a.nodes, node{byte: b, depth: a.nodes[at].depth + 1, sibling: a.nodes[at].child})
	a.nodes[at].child = next
	if at == 0 {
		a.first[b] = next
	}
	return next
}

func (a *automaton) childOf(at int32, b byte) int32 {
	if at == 0 {
		return a.first[b]
	}
	c := a.nodes[at].child
	for c != 0 && a.nodes[c].byte != b {
		c = a.nodes[c].sibling
	}
	return c
}

// link works out where to go on when no child fits, shallow nodes first.
func (a *automaton) link() {
	queue := make([]int32, 1, len(a.nodes))
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for c := a.nodes[at].child; c != 0; c = a.nodes[c].sibling {
			n := &a.nodes[c]
			if at != 0 {
				n.fail = a.step(a.nodes[at].fail, n.byte)
			}
			n.match = max(n.match, a.nodes[n.fail].match)
			queue = append(queue, c)
		}
	}
}

// step is where the automaton is after one more byte.
func (a *automaton) step(at int32, b byte) int32 {
	for {
		if next := a.childOf(at, b); next != 0 || at == 0 {
			return next
		}
		at = a.nodes[at].fail
	}
}

// scanner goes through one text. Bytes that are no line breaks are its ink, and
// are counted from the beginning of the text.
type scanner struct {
	a      *automaton
	at     int32
	breaks int    // in a row, up to now
	held   []byte // not passed on yet
	first  int    // the number of the first ink in held
	next   int    // the number of the next ink
	spans  []span // what is to be masked of held, in order, apart from each other
}

// span is the ink from one number up to, without, another.
type span struct{ from, to int }

// feed takes in more of the text.
func (c *scanner) feed(p []byte) {
	c.held = append(c.held, p...)
	for _, b := range p {
		if isBreak(b) {
			if c.breaks++; c.breaks > mostBreaks {
				c.at = 0
			}
			continue
		}
		c.breaks = 0
		c.at = c.a.step(c.at, b)
		c.next++
		if n := c.a.nodes[c.at].match; n > 0 {
			c.cover(c.next - int(n))
		}
		for c.at != 0 && c.a.nodes[c.at].child == 0 { // it can grow no more
			c.at = c.a.nodes[c.at].fail
		}
	}
}

// cover notes that the ink from a number up to now is to be masked. What it swallows
// is dropped, so that all of the text costs no more than its length.
func (c *scanner) cover(from int) {
	for len(c.spans) > 0 && c.spans[len(c.spans)-1].to >= from {
		from = min(from, c.spans[len(c.spans)-1].from)
		c.spans = c.spans[:len(c.spans)-1]
	}
	c.spans = append(c.spans, span{from, c.next})
}

// ready returns, masked, what no form can reach any more. It is good until the
// next call.
func (c *scanner) ready() []byte {
	return c.pass(c.next - int(c.a.nodes[c.at].depth))
}

// lineIsComplete reports whether the text ends with a line, and with so little of
// a form that it may be shown.
func (c *scanner) lineIsComplete() bool {
	return c.breaks > 0 && c.a.nodes[c.at].depth < shortest
}

// rest returns all that was kept back, at the end of the text.
func (c *scanner) rest() []byte {
	c.at = 0
	return c.pass(c.next)
}

// pass takes what stands before the ink of a number out of held, masked.
func (c *scanner) pass(limit int) []byte {
	i, gone := 0, 0
	for ; i < len(c.held); i++ {
		if isBreak(c.held[i]) {
			continue
		}
		if c.first >= limit {
			break
		}
		for gone < len(c.spans) && c.spans[gone].to <= c.first {
			gone++
		}
		if gone < len(c.spans) && c.spans[gone].from <= c.first {
			c.held[i] = '*'
		}
		c.first++
	}
	out := c.held[:i:i]
	c.held, c.spans = c.held[i:], c.spans[gone:]
	return out
}
