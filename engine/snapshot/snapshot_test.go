package snapshot_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/snapshot"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

func take(t *testing.T, files map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ref, err := snapshot.Take(t.Context(), s, dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := target.Get(t.Context(), s, ref, out); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = filepath.WalkDir(out, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(out, p)
			got = append(got, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func TestTake(t *testing.T) {
	code := map[string]string{"train.py": "1", "lib/net.py": "2", ".git/HEAD": "x", "lib/__pycache__/net.pyc": "x", "out/big.bin": "x", "a.log": "x"}
	with := func(more ...string) map[string]string {
		m := map[string]string{}
		for pair := range slices.Chunk(more, 2) {
			m[pair[0]] = pair[1]
		}
		for k, v := range code {
			m[k] = v
		}
		return m
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"histories and caches are never code": {code, []string{"a.log", "lib/net.py", "out/big.bin", "train.py"}},
		"gitignore is honoured":               {with(".gitignore", "out/\n*.log\n"), []string{".gitignore", "lib/net.py", "train.py"}},
		"what describes runs is no code":      {with("a.pipeline.yaml", "", "sub/b.test.yaml", "", "amlflow.yaml", "", "amlflow.lock", "", "sub/amlflow.yaml", ""), []string{"a.log", "lib/net.py", "out/big.bin", "sub/amlflow.yaml", "train.py"}},
		"unless that is taken back":           {with(".gitignore", "!*.pipeline.yaml\n", "a.pipeline.yaml", "", "b.test.yaml", ""), []string{".gitignore", "a.log", "a.pipeline.yaml", "lib/net.py", "out/big.bin", "train.py"}},
		"a pattern can be taken back":         {with(".gitignore", "*.log\n!a.log\nout\n"), []string{".gitignore", "a.log", "lib/net.py", "train.py"}},
	} {
		if got := take(t, c.files); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	both := with(".gitignore", "*.py\n")
	both[".amlflowignore"] = "out/\n"
	if got, want := take(t, both), []string{".amlflowignore", ".gitignore", "a.log", "lib/net.py", "train.py"}; !slices.Equal(got, want) {
		t.Errorf(".amlflowignore replaces .gitignore: got %q, want %q", got, want)
	}
}

// People link to files beside their code; what a link means must not depend on
// the machine.
func TestLinks(t *testing.T) {
	for name, c := range map[string]struct {
		to   string
		fine bool
	}{
		"a file in the folder":   {"lib/net.py", true},
		"a file by its own path": {"DIR/lib/net.py", true},
		"a folder":               {"lib", false},
		"a file elsewhere":       {"/etc/hostname", false},
		"above":                  {"../x", false},
		"nothing":                {"gone.py", false},
		"itself":                 {"link.py", false},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "lib"), 0o755), os.WriteFile(filepath.Join(dir, "lib", "net.py"), []byte("1"), 0o644),
			os.Symlink(strings.Replace(c.to, "DIR", dir, 1), filepath.Join(dir, "link.py"))); err != nil {
			t.Fatal(err)
		}
		_, err := snapshot.Take(t.Context(), blob.Digests{}, dir)
		if fine := err == nil; fine != c.fine || !fine && (!errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `"link.py"`)) {
			t.Errorf("a link to %s: %v", name, err)
		}
	}
}

// A file of ours puts those of git out of force, in its folder and below.
func TestIgnoreFilesOfOurs(t *testing.T) {
	files := map[string]string{
		".gitignore": "*.log\n", "a.log": "1", "a.py": "1", "sub/a.log": "1", "sub/b.log": "1", "sub/deep/a.log": "1", "sub/deep/c.txt": "1",
		"sub/.amlflowignore": "!a.log\n*.txt\n", "sub/deep/.gitignore": "*\n", "other/.gitignore": "*\n!.gitignore\n", "other/x": "1",
	}
	want := []string{".gitignore", "a.py", "other/.gitignore", "sub/.amlflowignore", "sub/a.log", "sub/deep/.gitignore", "sub/deep/a.log"}
	if got := take(t, files); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	files[".amlflowignore"] = "deep/.gitignore\n!.git\n"
	files[".git/HEAD"] = "1"
	want = []string{".amlflowignore", ".gitignore", "a.log", "a.py", "other/.gitignore", "other/x", "sub/.amlflowignore", "sub/a.log", "sub/b.log", "sub/deep/.gitignore", "sub/deep/a.log"}
	if got := take(t, files); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		".gitignore": "# data\n\n/data\n*.log\n!keep.log\n", "train.py": "print()", "data/big.bin": "x", "a.log": "xx", "keep.log": "", "lib/.gitignore": "*.tmp", "lib/net.py": "1", "lib/x.tmp": "1",
		".git/HEAD": "x", "state/db": "x",
	} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "train.py"), 0o755), os.Mkdir(filepath.Join(dir, "empty"), 0o755), os.Symlink("train.py", filepath.Join(dir, "link.py"))); err != nil {
		t.Fatal(err)
	}
	l, err := snapshot.List(dir, filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range l.Files {
		fmt.Fprintf(&got, "%s %d %t", f.Path, f.Size, f.Exec)
		if f.Left != nil {
			fmt.Fprintf(&got, " left by %s:%d %s", f.Left.File, f.Left.Line, f.Left.Pattern)
		}
		got.WriteString("\n")
	}
	want := `.git/ 0 false left by :0 .git/
.gitignore 30 false
a.log 2 false left by .gitignore:4 *.log
data/ 0 false left by .gitignore:3 /data
empty/ 0 false
keep.log 0 false
lib/.gitignore 5 false
lib/net.py 1 false
lib/x.tmp 1 false left by lib/.gitignore:1 *.tmp
link.py 7 true
state/ 0 false left by :0 state/
train.py 7 true
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	if want := []string{".gitignore", "lib/.gitignore"}; !slices.Equal(l.Ignores, want) {
		t.Errorf("got %q, want %q", l.Ignores, want)
	}
}

func TestAnIgnoreFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".gitignore"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Take(t.Context(), blob.Digests{}, dir); err != nil {
		t.Errorf("a folder of that name: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".amlflowignore"), make([]byte, 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	_, taken := snapshot.Take(t.Context(), blob.Digests{}, dir)
	_, listed := snapshot.List(dir)
	for _, err := range []error{taken, listed} {
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "larger than 1 MiB") {
			t.Errorf("got %v", err)
		}
	}
}
