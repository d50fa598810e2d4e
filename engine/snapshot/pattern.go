package snapshot

import "strings"

// A pattern is matched as git does it (dir.c and wildmatch.c of git 2.x), by bytes
// and always with regard to case. It is compiled to a list of atoms, which are
// tried side by side: a hostile pattern costs its length for each byte of a path,
// and not more.

// atom matches a part of a path. Exactly one of its forms is used.
type atom struct {
	form form
	b    byte       // of one
	set  *[256]bool // of class
}

type form uint8

const (
	one      form = iota // the byte b
	wild                 // a byte, but no slash in a path
	class                // a byte of set
	star                 // any number of bytes without a slash
	starstar             // any number of bytes
	folders              // what follows it, or starstar and a slash and then what follows
	never                // nothing at all: the pattern is broken
)

// glob is a compiled pattern.
type glob []atom

// compile reads a pattern with wildcards. In the pattern of a path a slash is
// matched only by a slash, or by ** where it stands alone between slashes.
func compile(p string, path bool) glob {
	var g glob
	for i := 0; i < len(p); {
		switch p[i] {
		case '*':
			end := i
			for end < len(p) && p[end] == '*' {
				end++
			}
			g = append(g, stars(p, i, end, path)...)
			i = end
			if g[len(g)-1].form == folders { // it has the slash with it
				i++
			}
		case '?':
			g, i = append(g, anyByte(path)), i+1
		case '[':
			set, n := readClass(p[i:], path)
			if n == 0 {
				return glob{{form: never}}
			}
			g, i = append(g, atom{form: class, set: set}), i+n
		case '\\':
			if i+1 == len(p) {
				return glob{{form: never}}
			}
			g, i = append(g, atom{b: p[i+1]}), i+2
		default:
			g, i = append(g, atom{b: p[i]}), i+1
		}
	}
	return g
}

func anyByte(path bool) atom {
	if path {
		return atom{form: wild}
	}
	var all [256]bool
	for i := range all {
		all[i] = true
	}
	return atom{form: class, set: &all}
}

// stars reads the asterisks p[i:end].
func stars(p string, i, end int, path bool) glob {
	rest := p[end:]
	alone := (i == 0 || p[i-1] == '/') && (rest == "" || rest[0] == '/' || strings.HasPrefix(rest, `\/`))
	switch {
	case !path:
		return glob{{form: starstar}}
	case end-i == 1 || !alone:
		return glob{{form: star}}
	case rest != "" && rest[0] == '/':
		return glob{{form: folders}}
	}
	return glob{{form: starstar}}
}

// match reports whether the glob matches all of name.
func (g glob) match(name string) bool {
	now, next := newStates(len(g)), newStates(len(g))
	now.add(g, 0)
	for i := 0; i < len(name) && len(now.list) > 0; i++ {
		next.clear()
		for _, at := range now.list {
			g.step(at, name[i], next)
		}
		now, next = next, now
	}
	return now.has[len(g)*2]
}

// step adds to next where the pattern may be after the byte b. An even number at
// means before atom at/2, an odd one inside the folders that atom at/2 stands for.
func (g glob) step(at int, b byte, next *states) {
	if at == len(g)*2 {
		return
	}
	a := g[at/2]
	if at%2 == 1 {
		next.put(at)
		if b == '/' {
			next.add(g, at/2+1)
		}
		return
	}
	switch a.form {
	case one:
		if a.b == b {
			next.add(g, at/2+1)
		}
	case wild:
		if b != '/' {
			next.add(g, at/2+1)
		}
	case class:
		if a.set[b] {
			next.add(g, at/2+1)
		}
	case star:
		if b != '/' {
			next.add(g, at/2)
		}
	case starstar:
		next.add(g, at/2)
	}
}

// states is a set of places in a glob.
type states struct {
	list []int
	has  []bool
}

func newStates(atoms int) *states { return &states{has: make([]bool, atoms*2+1)} }

func (s *states) clear() {
	for _, at := range s.list {
		s.has[at] = false
	}
	s.list = s.list[:0]
}

func (s *states) put(at int) {
	if !s.has[at] {
		s.has[at] = true
		s.list = append(s.list, at)
	}
}

// add puts the place before atom i, and those that are reached from it for nothing.
func (s *states) add(g glob, i int) {
	for ; !s.has[i*2]; i++ {
		s.put(i * 2)
		if i == len(g) || g[i].form != star && g[i].form != starstar && g[i].form != folders {
			return
		}
		if g[i].form == folders {
			s.put(i*2 + 1)
		}
	}
}
