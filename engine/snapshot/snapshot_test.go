package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/snapshot"
	"github.com/amlflow/amlflow/workers/target"
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
	with := func(name, text string) map[string]string {
		m := map[string]string{name: text}
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
