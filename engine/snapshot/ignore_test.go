package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// git is a repository whose own idea of what is ignored ours is held against.
type git struct {
	testing.TB
	dir   string
	files []string // all that is there, folders with a slash at the end
}

// tree makes a repository with these files. It is nil where there is no git.
func tree(t testing.TB, files ...string) *git {
	t.Helper()
	g := &git{TB: t, dir: t.TempDir()}
	if _, err := exec.LookPath("git"); err != nil {
		return nil
	}
	g.run("", "init", "-q")
	for _, name := range files {
		g.write(name, "x")
	}
	err := filepath.WalkDir(g.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == g.dir {
			return err
		}
		rel, _ := filepath.Rel(g.dir, p)
		switch {
		case rel == ".git":
			return fs.SkipDir
		case d.IsDir():
			rel += "/"
		}
		g.files = append(g.files, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *git) write(name, text string) {
	g.Helper()
	p := filepath.Join(g.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
		g.Fatal(err)
	}
}

func (g *git) run(input string, args ...string) string {
	g.Helper()
	c := exec.Command("git", append([]string{"-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false"}, args...)...)
	c.Dir, c.Stdin = g.dir, strings.NewReader(input)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir)
	var out, words bytes.Buffer
	c.Stdout, c.Stderr = &out, &words
	var e *exec.ExitError
	if err := c.Run(); err != nil && (!errors.As(err, &e) || e.ExitCode() != 1) {
		g.Fatalf("git %q: %v: %s", args, err, words.String())
	}
	return out.String()
}

// ignored is what git says of every file: FILE:LINE, or nothing.
func (g *git) ignored() map[string]string {
	g.Helper()
	said := map[string]string{}
	// A slash at the end would make git look at the name "" in the folder, and a
	// colon at the beginning has a meaning of its own.
	var names []string
	for _, name := range g.files {
		names = append(names, "./"+strings.TrimSuffix(name, "/"))
	}
	words := strings.Split(g.run(strings.Join(names, "\x00"), "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"), "\x00")
	for i := 0; i+3 < len(words); i += 4 {
		file, line, pattern, name := words[i], words[i+1], words[i+2], g.files[i/4]
		said[name] = ""
		if file != "" && !strings.HasPrefix(pattern, "!") {
			said[name] = file + ":" + line
		}
	}
	return said
}

// ours is what we say of every file, by the same words.
func (g *git) ours() map[string]string {
	g.Helper()
	s := &sieve{root: g.dir, places: map[string]*place{}}
	s.enter(".", nil, "")
	said := map[string]string{}
	for _, name := range g.files {
		said[name] = ""
		for i := range len(name) {
			if name[i] != '/' && i+1 < len(name) {
				continue
			}
			part, isDir := strings.TrimSuffix(name[:i+1], "/"), name[i] == '/'
			in := s.places[path.Dir(part)]
			if r := in.leftBy(part, isDir); r != nil {
				said[name] = fmt.Sprintf("%s:%d", r.File, r.Line)
				break
			}
			if isDir && s.places[part] == nil {
				s.enter(part, in, part)
			}
		}
	}
	if s.err != nil {
		g.Fatal(s.err)
	}
	return said
}

// agree compares both, and says where they differ.
func (g *git) agree(about string) {
	g.Helper()
	theirs, ours := g.ignored(), g.ours()
	if len(theirs) != len(ours) {
		g.Fatalf("%s: git speaks of %d files, we of %d", about, len(theirs), len(ours))
	}
	for _, name := range g.files {
		if theirs[name] != ours[name] {
			g.Errorf("%s: %q is ignored by %q, says git, and by %q, say we", about, name, theirs[name], ours[name])
		}
	}
}

func needGit(t testing.TB, g *git) {
	t.Helper()
	if g == nil {
		t.Skip("SKIP: there is no git to compare with: apt-get install -y git")
	}
}

// hostile names and folders, for patterns to be right and wrong about.
var hostile = []string{
	"a", "b", "ab", "aab", "a.log", "A.LOG", "b.log", "deep/a", "deep/a.log", "deep/er/a.log", "deep/er/b", "deep/er/still/a",
	"a b", "a ", "a  ", " a", "#a", "!a", "\\a", "a\\", "[a]", "[", "]", "a-b", "a]b", "a*b", "a?b", "**", "*", "-", "^", "a^",
	"build/x", "build/keep/x", "deep/build/x", "doc/frotz/x", "a/b/.keep", "ax/y/b/x", "axb/x", "größe/ä", "\xff\xfe/\x80", "tab\t", "line\nbreak", "cr\r", "sub/a.log", "sub/b.log", "sub/build/x", "sub/sub/a.log",
}

// The files a and a/b/.keep cannot both be.
func hostileTree(t testing.TB) *git {
	return tree(t, slices.DeleteFunc(slices.Clone(hostile), func(s string) bool { return s == "a" })...)
}

func TestIgnoredAsByGit(t *testing.T) {
	g := hostileTree(t)
	needGit(t, g)
	for _, text := range []string{
		"", "\n\n# nothing\n   \n", "*", "/*", "*/", "*\n!*.log", "*\n!*/\n!*.log", "*.log", "/*.log", "**/*.log", "*.LOG", "a", "a/", "/a", "/a/", "a/b", "a/b/", "a/**", "a/*", "**/a", "**/a/", "**",
		"/**", "**/", "/**/", "***", "a**", "**a", "a**/b", "a**b", "**/b/**", "deep/**/a", "deep/**/a.log", "deep/*/a.log", "deep/**", "deep/**/", "deep/***/a", "**/er/**/a", "deep/er", "er", "er/", "/er",
		"build", "build/", "/build", "build/*\n!build/keep", "build\n!build/keep", "!build\nbuild", "build/\n!build/", "doc/frotz", "doc/frotz/", "/doc/frotz/", "frotz/",
		"a ", "a\\ ", "a\\  ", "a \\ ", "a b", "a\\ b", " a", "\\ a", "*\\ ", "*\\\\ ", "a\t", "tab\t", "tab\\\t",
		"#a", "\\#a", "!a", "\\!a", "\\\\a", "\\a", "a\\", "a\\\\", "\\", "!", "!!a", "! a", "/", "//", "///", "a//b", "a/b//", "!/", "\\/a", "a\\/b",
		"[a]", "\\[a\\]", "[[]", "[]]", "[]a]", "[!a]", "[^a]", "[!a]b", "[a-b]", "[b-a]", "[a-]", "[-a]", "[]-a]", "[", "[a", "a[", "[!", "[]", "[!]", "[!]]", "[a-", "[a-b", "[[:alpha:]]", "[[:alpha:]", "[[:nope:]]", "[[:alpha]", "[[:]", "[[::]]", "[![:alpha:]]b",
		"[[:space:]]*", "[\\]]", "[\\a]", "[a\\-b]", "[a-\\b]", "[\\", "a[\\", "[,-.]*", "a[]-]b", "a[/]b", "a[^x]b", "deep[/]a", "deep[!x]a", "a?b", "?", "??", "a/?/.keep", "a/?*", "*/b", "*/*/.keep", "*?b", "a*b", "*a*b*",
		"a*", "*\\*", "\\*", "\\**", "[*]", "?*", "größe", "gr*e/", "gr??e", "gr???e", "[ä]", "\xff\xfe", "[\x80-\xff]*", "line\nbreak", "cr\r", "cr\r\n", "cr\r\r\n", "a.log\r\n*.tmp\r\n", "\xef\xbb\xbfa.log", "a.log\x00junk", "\x00", "a\x00\n*.log",
		"*.log\n!deep/a.log\n!deep/er/*.log\n", "/deep\n!/deep/er/still/a", "a*/**/x", "*x/**/b", "**/**/**/a", "a/**/**/b/.keep", "**/*", "*/**", "x/**/", "\\*\\***/x",
		strings.Repeat("*", 1000), strings.Repeat("a", 5000), strings.Repeat("**/", 100) + "a", strings.Repeat("*a", 100), strings.Repeat("[a]", 300), strings.Repeat("a/", 300),
	} {
		g.write(".gitignore", text)
		g.agree(fmt.Sprintf("%.60q", text))
	}
}

func TestFoldersHaveTheirOwn(t *testing.T) {
	g := hostileTree(t)
	needGit(t, g)
	for _, c := range []struct{ root, sub, subsub string }{
		{"*.log", "!a.log", ""}, {"*.log", "!*.log", "*.log"}, {"sub/*.log", "!/a.log", ""}, {"sub", "!a.log", ""}, {"sub/", "!*", ""}, {"sub/*", "!sub", "!a.log"},
		{"", "/a.log", ""}, {"", "sub/", ""}, {"", "/sub/a.log", ""}, {"", "**/a.log", ""}, {"", "*\n!.gitignore", ""}, {"", "", "../b.log"}, {"!a.log", "a.log", "!a.log"}, {"/a.log", "b.log", "x"}, {"build", "!build", ""}, {"**/build", "!/build/", ""},
	} {
		g.write(".gitignore", c.root)
		g.write("sub/.gitignore", c.sub)
		g.write("sub/sub/.gitignore", c.subsub)
		g.agree(fmt.Sprintf("%q", c))
	}
}

// Named classes mean what git means by them, which is not what every library does.
func TestClassesAsInGit(t *testing.T) {
	var names []string
	for b := 1; b < 256; b++ {
		if b != '/' && b != '.' {
			names = append(names, string([]byte{byte(b)}))
		}
	}
	g := tree(t, names...)
	needGit(t, g)
	for name := range classes {
		g.write(".gitignore", "[[:"+name+":]]")
		g.agree(name)
		g.write(".gitignore", "[^[:"+name+":]x-z]")
		g.agree("not " + name)
	}
}

// A pattern made to be tried in very many ways costs no more than others.
func TestHostilePatternsTakeNoTime(t *testing.T) {
	name := strings.Repeat("a", 4000)
	for _, p := range []string{strings.Repeat("*a", 200) + "b", strings.Repeat("**/", 200) + "b", strings.Repeat("?*", 200) + "b", "/" + strings.Repeat("a**", 200) + "b"} {
		begun := time.Now()
		r, ok := parse(p)
		if !ok || r.about(name, false) {
			t.Errorf("%.20q matches", p)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%.20q took %v", p, took)
		}
	}
}

// Whatever ignore files say, git and we agree; and where there is no git, at least
// nothing breaks.
func FuzzIgnore(f *testing.F) {
	for _, s := range [][2]string{{"*.log", "!a.log"}, {"a**/b\n[[:space:]]*", "/*\n!sub/"}, {"\\!a\n#x\n!b ", "**"}, {"[a-\\b]", "a\\ \r\n"}} {
		f.Add(s[0], s[1])
	}
	g := hostileTree(f)
	f.Fuzz(func(t *testing.T, root, sub string) {
		parseFile("x", []byte(root))
		if g == nil || len(root)+len(sub) > 1<<16 {
			return
		}
		g := &git{TB: t, dir: g.dir, files: g.files}
		g.write(".gitignore", root)
		g.write("sub/.gitignore", sub)
		g.agree(fmt.Sprintf("%q %q", root, sub))
	})
}
