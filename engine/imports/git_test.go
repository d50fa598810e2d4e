package imports_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/imports"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// source is a repository that templates come from.
type source struct {
	t   *testing.T
	dir string
}

func newSource(t *testing.T) *source {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed: apt-get install git")
	}
	s := &source{t, filepath.Join(t.TempDir(), "repo")}
	put(t, s.dir, map[string]string{".keep": ""})
	s.git("init", "-q", "-b", "main")
	s.git("config", "core.fsync", "none") // it need not outlive the test
	return s
}

// git runs git as nobody in particular.
func (s *source) git(args ...string) string {
	s.t.Helper()
	c := exec.Command("git", args...)
	c.Dir = s.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=file",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@a", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z"}
	out, err := c.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, and gives the commit the tag.
func (s *source) commit(tag string, files map[string]string) string {
	s.t.Helper()
	put(s.t, s.dir, files)
	s.git("add", "-A")
	s.git("commit", "-q", "--allow-empty", "-m", "change")
	if tag != "" {
		s.git("tag", "-f", "-a", "-m", tag, tag)
	}
	return s.git("rev-parse", "HEAD")
}

func (s *source) ref(inside, at string) string {
	return "git+file://" + s.dir + "//" + inside + "@" + at
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// template is the text of one whose stage says the lines.
func template(name string, lines ...string) string {
	return "amlflow: v1\ntemplate: " + name + "\nstage:\n  " + strings.Join(lines, "\n  ") + "\n"
}

// pipeline uses one thing.
func pipeline(uses string) string {
	return "amlflow: v1\npipeline: p\nstages:\n  a:\n    uses: " + uses + "\n"
}

// user is a workspace that uses templates.
type user struct {
	t         *testing.T
	dir, home string
	options   imports.Options // what is different
}

func newUser(t *testing.T) *user {
	return &user{t: t, dir: t.TempDir(), home: t.TempDir(), options: imports.Options{Fetch: true}}
}

// link reads a pipeline of the workspace and what it uses, as a command does.
func (u *user) link(file, text string) (*schema.Pipeline, diag.Findings) {
	u.t.Helper()
	o := u.options
	o.Dir, o.Workspace, o.Home = filepath.Join(u.dir, filepath.Dir(file)), u.dir, u.home
	im, fs, err := imports.New(u.t.Context(), o)
	if err != nil {
		u.t.Fatal(err)
	}
	p, found := schema.ReadPipeline(file, []byte(text))
	fs = append(append(fs, found...), p.Link(im)...)
	if !fs.Bad() && o.Fetch {
		if _, err := im.Save(); err != nil {
			u.t.Fatal(err)
		}
	}
	if err := im.Close(); err != nil {
		u.t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(u.home, "templates", "tmp", "*")); len(left) > 0 {
		u.t.Errorf("left behind: %v", left)
	}
	return p, fs
}

// good links what must be right.
func (u *user) good(uses string) *schema.Template {
	u.t.Helper()
	p, fs := u.link("p.pipeline.yaml", pipeline(uses))
	if len(fs) > 0 || p.Stages[0].Template == nil {
		u.t.Fatalf("%s: %v", uses, fs)
	}
	return p.Stages[0].Template
}

// bad links what must be refused with a code, and returns what is said.
func (u *user) bad(uses, code string) string {
	u.t.Helper()
	_, fs := u.link("p.pipeline.yaml", pipeline(uses))
	for _, f := range fs {
		if string(f.Code) == code && f.Hint != "" && f.Line > 0 {
			return f.Error()
		}
	}
	u.t.Fatalf("%s: want %s, got %v", uses, code, fs)
	return ""
}

func (u *user) lock() string {
	text, _ := os.ReadFile(filepath.Join(u.dir, schema.LockName))
	return string(text)
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not said in\n%s", part, text)
		}
	}
}
