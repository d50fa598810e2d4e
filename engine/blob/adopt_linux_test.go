package blob_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// given writes a file of two megabytes and opens it for reading.
func given(t *testing.T, dir string) *os.File {
	t.Helper()
	path := filepath.Join(dir, "given")
	if err := os.WriteFile(path, bytes.Repeat([]byte("given"), 400_000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAGivenFileIsKeptAsItIs(t *testing.T) {
	s, dir := open(t)
	f := given(t, dir)
	ref, err := s.Adopt(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	kept, err := os.Stat(filepath.Join(dir, "sha256", ref.Hex()[:2], ref.Hex()))
	if err != nil || !os.SameFile(info, kept) || kept.Mode() != 0o400 {
		t.Errorf("it was copied: %v, %v", kept, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, s, ref); err != nil || len(got) != 2_000_000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if again, err := s.Adopt(t.Context(), given(t, dir)); again != ref || err != nil {
		t.Errorf("given again: %s, %v", again, err)
	}
	if left := files(t, filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
}

// What someone else can still change is copied, and stays as it was.
func TestAFileOfOthersIsCopied(t *testing.T) {
	for name, share := range map[string]func(path string) (*os.File, error){
		"open for writing": func(path string) (*os.File, error) { return os.OpenFile(path, os.O_WRONLY, 0) },
		"with two names": func(path string) (*os.File, error) {
			return nil, os.Link(path, path+".other")
		},
	} {
		s, dir := open(t)
		f := given(t, dir)
		w, err := share(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		ref, err := s.Adopt(t.Context(), f)
		if err = errors.Join(err, w.Close()); w == nil {
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name(), []byte("changed"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, s, ref); err != nil || len(got) != 2_000_000 {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
}
