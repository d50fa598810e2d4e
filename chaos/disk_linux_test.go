package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk mounts a file system of its own with little room, and returns its folder.
func disk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED, the full disk is not tried: a small file system needs the right to mount one; run the test as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that a file system has left, and returns how to give it
// back.
func (u *user) fill(dir string) (free func()) {
	u.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	u.must(err)
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err = f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2] // the last bytes, too
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		u.Fatalf("the disk is not full: %v", err)
	}
	u.must(f.Close())
	return func() { u.must(os.Remove(path)) }
}

// F11: the disk of the state folder (database, jobs, store, logs) is full while a
// run goes on. A new run is refused with the path and the reason; the old one goes
// on when there is room again, and nothing of it is torn.
func TestDiskFull(t *testing.T) {
	long(t)
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	small := disk(t, "48m")
	u := newUserOf(t, path, filepath.Join(small, "state"))
	g := u.gate("end")
	run := u.submit(
		step{name: "one", lines: 100, script: g.wait(), leaves: true, keys: "env: { BYTES: \"1000000\" }\n"},
		step{name: "two", needs: []string{"one"}, lines: 100, leaves: true},
	)
	u.until("the job runs", func() bool { return len(u.running()) == 1 })
	file := u.pipeline("refused", step{name: "one"})
	free := u.fill(small)
	g.open()
	refused := u.amlflow("run", file, "--detach", "-o", "json")
	if refused.code == 0 {
		id := parse[struct{ Run string }](u, refused.out).Run
		u.accepted(id, step{name: "one"})
		t.Logf("run %s was accepted though the disk is full", id)
		defer u.observe(id)
	} else if !strings.Contains(refused.words, small) || !strings.Contains(refused.words, "no space left") && !strings.Contains(refused.words, "full") {
		t.Errorf("a run on a full disk is refused, and the words name neither place nor reason:\n%s", refused.words)
	}
	free()
	r := u.observe(run)
	t.Logf("run %s: %s %s", run, r.Status, deref(r.Error))
	u.checkStore()
	u.must(os.WriteFile(filepath.Join(small, "probe"), nil, 0o600))
	if after := u.observe(u.start(file, step{name: "one"})); after.Status != "succeeded" {
		t.Errorf("a run after there is room again is %s: %s", after.Status, deref(after.Error))
	}
	u.judge()
}
