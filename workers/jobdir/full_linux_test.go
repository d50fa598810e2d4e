package jobdir

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A disk that is full when the process ends does not turn its end into a loss.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("SKIP: mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(mount, syscall.MNT_DETACH) })
	dir := filepath.Join(mount, "p")
	start(t, dir, Process{Argv: []string{"sh", "-c", "head -c 1000000 /dev/zero >fill; echo >full; exit 5"}, Env: []string{"PATH=/bin:/usr/bin"}, Work: mount})
	t.Cleanup(func() { killAll(dir) })
	for end := time.Now().Add(10 * time.Second); !hasExited(dir) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	v, err := Look(dir)
	t.Logf("while the disk is full: %+v, %v", v, err)
	if err == nil && v.Phase != Running && v.Status != 5 {
		t.Errorf("got %+v", v)
	}
	if err := os.Remove(filepath.Join(mount, "fill")); err != nil {
		t.Fatal(err)
	}
	if v := until(t, dir, ended); v.Phase != Ended || v.Status != 5 {
		t.Errorf("got %+v", v)
	}
}
