package blob_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/workers/target"

	"pgregory.net/rapid"
)

func open(t *testing.T) (blob.Folder, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func read(t *testing.T, s blob.Folder, ref target.Ref) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), ref)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestWhatWasPutIsRead(t *testing.T) {
	s, _ := open(t)
	rapid.Check(t, func(r *rapid.T) {
		want := rapid.SliceOf(rapid.Byte()).Draw(r, "content")
		ref, err := s.Put(t.Context(), bytes.NewReader(want))
		if err != nil || !ref.Valid() {
			r.Fatal(ref, err)
		}
		if named, _ := (blob.Digests{}).Put(t.Context(), bytes.NewReader(want)); named != ref {
			r.Fatalf("named %s, stored %s", named, ref)
		}
		if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, want) {
			r.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestAFlippedByteIsRefused(t *testing.T) {
	s, dir := open(t)
	ref, err := s.Put(t.Context(), strings.NewReader("a model"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sha256", ref.Hex()[:2], ref.Hex())
	if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, []byte("a mOdel"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = read(t, s, ref)
	if !errors.Is(err, target.ErrPermanent) || strings.Count(err.Error(), "sha256:") != 2 {
		t.Errorf("the error should name both digests and be permanent: %v", err)
	}
}

func TestWhatIsNotThereIsSaidSo(t *testing.T) {
	s, _ := open(t)
	for _, ref := range []target.Ref{"sha256:" + target.Ref(strings.Repeat("0", 64)), "../../etc/passwd", "", "tree:sha256:1"} {
		if _, err := s.Open(t.Context(), ref); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestManyWritersOfOneContent(t *testing.T) {
	s, dir := open(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), strings.NewReader("the same")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files are left", n)
	}
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
