package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// On a full disk no server is started, and the error says why and what to do.
func TestEnsureOnAFullDisk(t *testing.T) {
	home := t.TempDir()
	if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("SKIP: mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(home, syscall.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(home, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	_, err := Ensure(t.Context(), Seat{Home: home}, "test", func() error { t.Error("a server was started"); return nil })
	if !errors.Is(err, ErrNotStarted) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "AMLFLOW_HOME") {
		t.Errorf("got %v", err)
	}
}
