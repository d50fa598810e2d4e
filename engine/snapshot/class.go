package snapshot

// readClass reads a bracket expression at the beginning of p: the bytes that it
// matches, and how much of p it is; 0 when it is broken.
func readClass(p string, path bool) (set *[256]bool, n int) {
	set = new([256]bool)
	i, negated := 1, false
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		i, negated = i+1, true
	}
	last := 0 // the byte that a range would begin with; 0: none
	for first := true; ; first = false {
		if i >= len(p) {
			return nil, 0
		}
		if p[i] == ']' && !first {
			break
		}
		if i, last = readItem(p, i, last, set); i < 0 {
			return nil, 0
		}
	}
	if negated {
		for b := range set {
			set[b] = !set[b]
		}
	}
	if path {
		set['/'] = false
	}
	return set, i + 1
}

// readItem reads one byte, range or named class of a bracket expression at p[i],
// and returns where the next one is, or -1, and what a range may begin with.
func readItem(p string, i, last int, set *[256]bool) (next, begin int) {
	switch c := p[i]; {
	case c == '\\':
		if i+1 == len(p) {
			return -1, 0
		}
		set[p[i+1]] = true
		return i + 2, int(p[i+1])
	case c == '-' && last != 0 && i+1 < len(p) && p[i+1] != ']':
		i++
		if p[i] == '\\' {
			i++
		}
		if i == len(p) {
			return -1, 0
		}
		for b := last; b <= int(p[i]); b++ {
			set[b] = true
		}
		return i + 1, 0
	case c == '[' && i+1 < len(p) && p[i+1] == ':':
		return readNamed(p, i, set)
	default:
		set[c] = true
		return i + 1, int(c)
	}
}

// readNamed reads [:name:] at p[i], or, where no :] comes before the next bracket,
// the byte [ alone.
func readNamed(p string, i int, set *[256]bool) (next, begin int) {
	end := i + 2
	for end < len(p) && p[end] != ']' {
		end++
	}
	if end == len(p) {
		return -1, 0
	}
	if end-1 < i+2 || p[end-1] != ':' {
		set['['] = true
		return i + 1, '['
	}
	is := classes[p[i+2:end-1]]
	if is == nil {
		return -1, 0
	}
	for b := range 128 {
		if is(byte(b)) {
			set[b] = true
		}
	}
	return end + 1, 0
}

// classes are the names that POSIX gives to sets of ASCII, as git has them.
var classes = map[string]func(byte) bool{
	"alnum":  func(b byte) bool { return letter(b) || digit(b) },
	"alpha":  letter,
	"blank":  func(b byte) bool { return b == ' ' || b == '\t' },
	"cntrl":  func(b byte) bool { return b < ' ' || b == 0x7f },
	"digit":  digit,
	"graph":  graph,
	"lower":  func(b byte) bool { return 'a' <= b && b <= 'z' },
	"print":  func(b byte) bool { return graph(b) || b == ' ' },
	"punct":  func(b byte) bool { return graph(b) && !letter(b) && !digit(b) },
	"space":  func(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }, // git's, without \v and \f
	"upper":  func(b byte) bool { return 'A' <= b && b <= 'Z' },
	"xdigit": func(b byte) bool { return digit(b) || 'a' <= b|0x20 && b|0x20 <= 'f' },
}

func letter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
func digit(b byte) bool  { return '0' <= b && b <= '9' }
func graph(b byte) bool  { return '!' <= b && b <= '~' }
