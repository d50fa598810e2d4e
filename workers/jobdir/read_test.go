package jobdir

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCopyFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	read := func(offset int64) (string, int64) {
		var w strings.Builder
		n, err := CopyFrom(path, offset, &w)
		if err != nil {
			t.Fatal(err)
		}
		return w.String(), n
	}
	if got, n := read(5); got != "" || n != 5 {
		t.Errorf("absent: %q %d", got, n)
	}
	os.WriteFile(path, []byte("a\x00\xffb"), 0o600)
	if got, n := read(1); got != "\x00\xffb" || n != 4 {
		t.Errorf("got %q %d", got, n)
	}
	if got, n := read(9); got != "" || n != 4 {
		t.Errorf("cut: %q %d", got, n)
	}
	os.Remove(path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CopyFrom(path, 0, &strings.Builder{}); err == nil {
		t.Error("a pipe was read")
	}
	os.Remove(path)
	os.Symlink("/etc/passwd", path)
	if _, err := CopyFrom(path, 0, &strings.Builder{}); err == nil {
		t.Error("a link was followed")
	}
}
