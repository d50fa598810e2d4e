package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// The files that say what is not code. Below a folder with a file of ours those of
// git do not count any more.
const (
	ownIgnore = ".amlflowignore"
	gitIgnore = ".gitignore"
)

// maxIgnore bounds the size of one such file.
const maxIgnore = 1 << 20

// Rule is a line that leaves something out.
type Rule struct {
	File    string `json:"file,omitempty"` // relative to the code folder; empty: it always holds
	Line    int    `json:"line,omitempty"`
	Pattern string `json:"pattern"`
	Usual   bool   `json:"usual,omitempty"` // it is about what describes runs, and a line can take that back
}

// rule is a Rule that can be asked.
type rule struct {
	Rule
	takenBack bool // it begins with !, and takes back what lines above it leave out
	onlyDir   bool // it ends with a slash
	anywhere  bool // it has no slash else: it is about the last name of a path only
	literal   string
	rest      glob
}

// parse reads one line; ok is false when it says nothing.
func parse(line string) (r rule, ok bool) {
	line, _, _ = strings.Cut(line, "\x00")
	if strings.HasPrefix(line, "#") {
		return r, false
	}
	p := trimSpaces(line)
	r.Pattern = p
	p, r.takenBack = strings.CutPrefix(p, "!")
	p, r.onlyDir = strings.CutSuffix(p, "/")
	if p == "" {
		return r, false
	}
	if r.anywhere = !strings.Contains(p, "/"); r.anywhere {
		r.rest = compile(p, false)
		return r, true
	}
	p = strings.TrimPrefix(p, "/")
	plain := len(p)
	if i := strings.IndexAny(p, `*?[\`); i >= 0 {
		plain = i
	}
	// What follows the plain part is read as if it began the pattern, as git does:
	// a**/b reaches into folders, too.
	r.literal, r.rest = p[:plain], compile(p[plain:], true)
	return r, true
}

// trimSpaces removes spaces at the end, unless a backslash holds one.
func trimSpaces(s string) string {
	end := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			continue
		case '\\':
			if i++; i == len(s) {
				return s
			}
		}
		end = i + 1
	}
	return s[:end]
}

// about reports whether the rule speaks of a path, relative to the rule's folder.
func (r *rule) about(name string, isDir bool) bool {
	if r.onlyDir && !isDir {
		return false
	}
	if r.anywhere {
		return r.rest.match(path.Base(name))
	}
	rest, ok := strings.CutPrefix(name, r.literal)
	return ok && r.rest.match(rest)
}

// parseFile reads the lines of a file; name is what its rules say of themselves.
func parseFile(name string, text []byte) []rule {
	var rules []rule
	n := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) {
		n++
		l := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if r, ok := parse(l); ok {
			r.File, r.Line = name, n
			rules = append(rules, r)
		}
	}
	return rules
}

// place is a folder with the rules that its ignore file adds.
type place struct {
	above *place
	dir   string // relative to the code folder, "" for itself
	own   bool   // from here on only files of ours count
	rules []rule
}

// enter reads the ignore file of a folder, if it has one, and says which it was.
func enter(root string, above *place, dir string) (p *place, file string, err error) {
	p = &place{above: above, dir: dir, own: above != nil && above.own}
	names := []string{ownIgnore, gitIgnore}
	if p.own {
		names = names[:1]
	}
	for _, name := range names {
		file = path.Join(dir, name)
		text, err := readIgnore(filepath.Join(root, filepath.FromSlash(file)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		p.own = name == ownIgnore
		p.rules = parseFile(file, text)
		return p, file, nil
	}
	return p, "", nil
}

func readIgnore(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil || info.IsDir() {
		return nil, fs.ErrNotExist // or it can be no ignore file, as for git
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read what is not code: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnore+1))
	if err == nil && len(text) > maxIgnore {
		err = fmt.Errorf("%q is larger than %d MiB: write patterns into it: %w", name, maxIgnore>>20, target.ErrPermanent)
	}
	return text, err
}

// leftBy returns the rule that leaves out what lies in the place under this path,
// which is relative to the code folder, or nil. The last line counts, and the file
// that is nearest.
func (p *place) leftBy(name string, isDir bool) *Rule {
	for ; p != nil; p = p.above {
		below := name
		if p.dir != "" {
			below = name[len(p.dir)+1:]
		}
		for i := len(p.rules) - 1; i >= 0; i-- {
			if r := &p.rules[i]; r.about(below, isDir) {
				if r.takenBack {
					return nil
				}
				return &r.Rule
			}
		}
	}
	if r := leftAs(usual, name, isDir); r != nil {
		r.Usual = true
		return r
	}
	return nil
}

// leftAs returns the rule of a list that leaves out what has this path, or nil.
func leftAs(rules []rule, name string, isDir bool) *Rule {
	for i := range rules {
		if rules[i].about(name, isDir) {
			return &Rule{Pattern: rules[i].Pattern}
		}
	}
	return nil
}
