package commit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made is a repository to try things with.
type made struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) made {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed: apt-get install git")
	}
	m := made{t, t.TempDir()}
	m.git("", "init", "-q")
	return m
}

func (m made) git(in string, args ...string) string {
	m.t.Helper()
	c := exec.Command("git", append([]string{"-C", m.dir, "-c", "user.name=n", "-c", "user.email=e@example.org"}, args...)...)
	c.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") }), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	c.Stdin = strings.NewReader(in)
	out, err := c.CombinedOutput()
	if err != nil {
		m.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// tree makes a tree of "mode type digest\tname" lines, and commit one of it.
func (m made) tree(entries ...string) string {
	return m.git(strings.Join(entries, "\n")+"\n", "mktree")
}
func (m made) blob(text string) string   { return m.git(text, "hash-object", "-w", "--stdin") }
func (m made) commit(tree string) string { return m.git("", "commit-tree", "-m", "x", tree) }

func (m made) write(commit string) (string, error) {
	m.t.Helper()
	r, err := Of(context.Background(), m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	out := m.t.TempDir()
	return out, r.Write(context.Background(), commit, out)
}

func TestWrite(t *testing.T) {
	m := newRepository(t)
	a, big, link := m.blob("a\r\n"), m.blob(strings.Repeat("\x00\n", 100_000)), m.blob("/etc/passwd")
	inner := m.tree("100755 blob "+a+"\trun.sh", "120000 blob "+link+"\tlink")
	id := m.commit(m.tree("100644 blob "+a+"\ta b\"c", "100644 blob "+big+"\tbig", "100644 blob "+m.blob("")+"\tempty", "040000 tree "+inner+"\tdeep", "160000 commit "+strings.Repeat("1", 40)+"\tsub"))
	dir, err := m.write(id)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{`a b"c`: 3, "big": 200_000, "empty": 0, "deep/run.sh": 3} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(b) != want {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(b), want, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "deep/run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Error(err, info)
	}
	if to, err := os.Readlink(filepath.Join(dir, "deep/link")); to != "/etc/passwd" {
		t.Error(to, err)
	}
}

// A commit may be made by anyone: nothing is written outside of the folder.
func TestWriteStaysInside(t *testing.T) {
	m := newRepository(t)
	outside := t.TempDir()
	x, link := m.blob("x"), m.blob(outside)
	inner := m.tree("100644 blob " + x + "\tx")
	for name, tree := range map[string]string{
		"a link and what is below it": m.tree("120000 blob "+link+"\ta", "040000 tree "+inner+"\ta"),
		"a file twice":                m.tree("100644 blob "+x+"\ta", "100755 blob "+x+"\ta"),
	} {
		if _, err := m.write(m.commit(tree)); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	for _, path := range []string{"../x", "/x", "a/../../x"} {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		f := file{"100644", x, path}
		if err := f.write(root, bytes.NewReader(nil)); err == nil {
			t.Errorf("%q was written", path)
		}
		root.Close()
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("outside there are %v now", entries)
	}
}

func TestResolve(t *testing.T) {
	m := newRepository(t)
	r, err := Of(context.Background(), m.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(context.Background(), "HEAD"); !errors.Is(err, ErrNone) || !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is no commit yet:", err)
	}
	id := m.commit(m.tree("100644 blob " + m.blob("x") + "\tx"))
	m.git("", "update-ref", "HEAD", id)
	for _, name := range []string{"HEAD", id, id[:8], "HEAD^0"} {
		if got, err := r.Resolve(context.Background(), name); got != id || err != nil {
			t.Errorf("%q is %q %v", name, got, err)
		}
	}
	for _, name := range []string{"", "--all", "-h", "HEAD:x", "HEAD~1", "--output=x"} {
		if got, err := r.Resolve(context.Background(), name); err == nil {
			t.Errorf("%q is %q", name, got)
		}
	}
	if _, err := Of(context.Background(), t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What is not here is said; it is not fetched.
func TestContentThatIsMissing(t *testing.T) {
	m := newRepository(t)
	digest := m.blob("gone")
	id := m.commit(m.tree("100644 blob " + digest + "\tgone.txt"))
	if err := os.Remove(filepath.Join(m.dir, ".git", "objects", digest[:2], digest[2:])); err != nil {
		t.Fatal(err)
	}
	if _, err := m.write(id); err == nil || !strings.Contains(err.Error(), `"gone.txt" is not here`) {
		t.Error(err)
	}
}

// Neither the repository's config nor the environment has anything run.
func TestNothingIsRun(t *testing.T) {
	m := newRepository(t)
	evil := filepath.Join(t.TempDir(), "evil")
	run := fmt.Sprintf("touch '%s'; cat", evil)
	for _, key := range []string{"core.fsmonitor", "core.pager", "filter.evil.smudge", "filter.evil.process", "tar.tar.command", "core.sshCommand", "diff.external"} {
		m.git("", "config", key, run)
	}
	id := m.commit(m.tree("100644 blob "+m.blob("* filter=evil\n* export-ignore\n")+"\t.gitattributes", "100644 blob "+m.blob("x\n")+"\tx"))
	m.git("", "update-ref", "HEAD", id)
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_TRACE", evil)
	t.Setenv("GIT_EXTERNAL_DIFF", run)
	dir, err := m.write(id)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "x")); string(b) != "x\n" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if _, err := os.Stat(evil); err == nil {
		t.Error("something was run")
	}
}
