package engine_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
)

// Two folders with the same files give the same archive, whenever and in whatever
// order they were written, and whoever wrote them.
func TestPackGivesTheSameBytes(t *testing.T) {
	files := map[string]string{"a": "1", "b/c": strings.Repeat("x", 1<<20), "b/d e": "", strings.Repeat("long/", 40) + "ü": "3"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("here", 3600))
	var archives [][]byte
	for round := range 2 {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600+os.FileMode(round)*0o44)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		age(t, dir)
		var b bytes.Buffer
		if err := engine.Pack(&b, dir, "top", at); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, b.Bytes())
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("they differ")
	}
	zipped, err := gzip.NewReader(bytes.NewReader(archives[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || h.Typeflag == tar.TypeReg && string(text) != files[strings.TrimPrefix(h.Name, "top/")] {
			t.Errorf("%s holds %d bytes, %v", h.Name, len(text), err)
		}
		got = append(got, fmt.Sprintf("%o %.12s", h.Mode, h.Name))
		if !h.ModTime.Equal(at.Truncate(time.Second)) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
	}
	if !slices.Contains(got, "755 top/a") || !slices.Contains(got, "644 top/b/c") || !slices.Contains(got, "755 top/b/") {
		t.Errorf("got %q", got)
	}
}
