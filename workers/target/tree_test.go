package target_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// memory keeps content in a map.
type memory map[target.Ref][]byte

func (m memory) Open(_ context.Context, r target.Ref) (io.ReadCloser, error) {
	b, ok := m[r]
	if !ok {
		return nil, fmt.Errorf("no %s", r)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m memory) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	b, err := io.ReadAll(r)
	sum := sha256.Sum256(b)
	ref := target.Ref("sha256:" + hex.EncodeToString(sum[:]))
	m[ref] = b
	return ref, err
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o700
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAFolderComesBackAsItWas(t *testing.T) {
	m, dir := memory{}, folder(t, map[string]string{"a.txt": "a", "run.sh": "#!/bin/sh", "ünï/深い/b": "b", "empty": ""})
	if err := os.MkdirAll(filepath.Join(dir, "void", "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	ref, err := target.PutTree(t.Context(), m, dir, nil)
	if err != nil || !ref.Valid() || !ref.IsTree() {
		t.Fatal(ref, err)
	}
	back := filepath.Join(t.TempDir(), "back")
	if err := target.Get(t.Context(), m, ref, back); err != nil {
		t.Fatal(err)
	}
	again, err := target.PutTree(t.Context(), m, back, nil)
	if err != nil || again != ref {
		t.Errorf("a copy is named %s, the folder %s, %v", again, ref, err)
	}
	if info, err := os.Stat(filepath.Join(back, "run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("run.sh cannot be executed any more: %v %v", info, err)
	}
}

func TestEqualFoldersHaveEqualNames(t *testing.T) {
	names := map[target.Ref]bool{}
	for range 3 {
		ref, err := target.PutTree(t.Context(), memory{}, folder(t, map[string]string{"b": "2", "a": "1", "c/d": "3"}), nil)
		if err != nil {
			t.Fatal(err)
		}
		names[ref] = true
	}
	if len(names) != 1 {
		t.Errorf("equal folders have %d names", len(names))
	}
}

func TestLinksAreRefused(t *testing.T) {
	dir := folder(t, map[string]string{"a": "1"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := target.PutTree(t.Context(), memory{}, dir, nil); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `"link"`) {
		t.Errorf("got %v", err)
	}
}

func TestAHostileListStaysInside(t *testing.T) {
	for _, path := range []string{"../evil", "/tmp/evil", "a/../../evil", ""} {
		m := memory{}
		content, _ := m.Put(t.Context(), strings.NewReader("x"))
		list, _ := m.Put(t.Context(), strings.NewReader(fmt.Sprintf(`[{"path":%q,"ref":%q}]`, path, content)))
		parent := t.TempDir()
		if err := target.Get(t.Context(), m, "tree:"+list, filepath.Join(parent, "in")); err == nil {
			t.Errorf("%q was accepted", path)
		}
		if _, err := os.Stat(filepath.Join(parent, "evil")); err == nil {
			t.Errorf("%q left the folder", path)
		}
	}
}

func TestNames(t *testing.T) {
	if got := target.EnvName("AMLFLOW_INPUT_", "train-data.v2"); got != "AMLFLOW_INPUT_TRAIN_DATA_V2" {
		t.Error(got)
	}
	for id, want := range map[string]bool{"run1.train.1": true, "": false, "../x": false, ".x": false, "A": false, strings.Repeat("a", 201): false} {
		if target.ValidID(id) != want {
			t.Errorf("ValidID(%q) is %v", id, !want)
		}
	}
}
