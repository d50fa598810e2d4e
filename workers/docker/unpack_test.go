package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

func archived(t *testing.T, headers ...tar.Header) *tar.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("text")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return tar.NewReader(&b)
}

func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	err := unpack(archived(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "out/"},
		tar.Header{Typeflag: tar.TypeDir, Name: "out/a/empty/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "out/a/first"},
		tar.Header{Typeflag: tar.TypeLink, Name: "out/a/second", Linkname: "out/a/first"},
		tar.Header{Typeflag: tar.TypeLink, Name: "out/a/third", Linkname: "a/first"},
		tar.Header{Typeflag: tar.TypeReg, Name: "out/unwanted"},
		tar.Header{Typeflag: tar.TypeFifo, Name: "out/unwanted-too"},
	), dir, map[string]bool{"a": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second", "third"} {
		if text, err := os.ReadFile(filepath.Join(dir, "a", name)); err != nil || string(text) != "text" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "unwanted")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was not declared is there: %v", err)
	}
}

// Nothing leaves the folder, and nothing but files and folders gets there.
func TestUnpackRefuses(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"a link":                {Typeflag: tar.TypeSymlink, Name: "out/a/x", Linkname: "/etc/passwd"},
		"a pipe":                {Typeflag: tar.TypeFifo, Name: "out/a/x"},
		"a device":              {Typeflag: tar.TypeChar, Name: "out/a/x"},
		"a name of nothing":     {Typeflag: tar.TypeLink, Name: "out/a/x", Linkname: "out/b"},
		"a name of an outsider": {Typeflag: tar.TypeLink, Name: "out/a/x", Linkname: "../../../../etc/passwd"},
	} {
		dir := t.TempDir()
		err := unpack(archived(t, tar.Header{Typeflag: tar.TypeDir, Name: "out/a/"}, h), dir, map[string]bool{"a": true})
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), `"a/x"`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	outside := t.TempDir()
	dir := filepath.Join(outside, "inside")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out/a/../../../x", "../x", "/../x", "out/../../x"} {
		_ = unpack(archived(t, tar.Header{Typeflag: tar.TypeReg, Name: name}), dir, map[string]bool{"a": true, "..": true, "x": true})
		if _, err := os.Lstat(filepath.Join(outside, "x")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s left the folder: %v", name, err)
		}
	}
}
