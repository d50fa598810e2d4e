package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// mountSmall mounts a file system of half a megabyte at dir.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("SKIP: mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		_ = Driver{Dir: dir}.Cancel(context.Background(), local(""), "job", target.CauseCancel)
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
	})
}

func TestOutOfMemory(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: there is no python3 to use up memory with: apt-get install python3")
	}
	d := driver(t)
	submit(t, d, `python3 -c 'b = []
while True: b.append(bytearray(1 << 20))'`, target.Resources{Memory: 64 << 20})
	if notes := d.notesNow(t); len(notes) > 0 {
		t.Skipf("SKIP: %v", notes)
	}
	st := wait(t, d)
	if st.State != target.Failed || st.Cause != target.CauseOOM || st.Exit != 137 || !strings.Contains(st.Reason, "64Mi") {
		t.Errorf("got %+v, log %q", st, log(t, d, 0))
	}
	for _, group := range d.groups(t) {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("the control group %s is left behind", group)
		}
	}
}

func (d Driver) notesNow(t *testing.T) []string {
	t.Helper()
	st, err := d.Status(t.Context(), local(""), "job")
	if err != nil {
		t.Fatal(err)
	}
	return st.Notes
}

// groups reads the control groups of rank 0 from its record.
func (d Driver) groups(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Dir, "jobs/job/limits"))
	if err != nil {
		t.Fatal(err)
	}
	var groups []string
	for _, word := range strings.Split(string(text), `"`) {
		if strings.HasPrefix(word, "/") {
			groups = append(groups, word)
		}
	}
	if len(groups) == 0 {
		t.Fatalf("no control group in %q", text)
	}
	return groups
}

// A limit is where the job finds itself, for its children, too.
func TestLimitsAreSet(t *testing.T) {
	d := driver(t)
	submit(t, d, `sh -c 'cat /proc/self/cgroup'`, target.Resources{Memory: 1 << 30, CPUs: 0.5})
	st := wait(t, d)
	if len(st.Notes) > 0 {
		t.Skipf("SKIP: %v", st.Notes)
	}
	for _, group := range d.groups(t) {
		if !strings.Contains(log(t, d, 0), "/"+filepath.Base(group)) {
			t.Errorf("the job was not in %s: %q", group, log(t, d, 0))
		}
	}
}

// F11: a disk that is full while the job is prepared is an error that names the
// place, and the same submission succeeds once there is space.
func TestDiskFullWhilePreparing(t *testing.T) {
	mount := t.TempDir()
	mountSmall(t, mount)
	d := Driver{Dir: mount}
	b := &targettest.Blobs{}
	in := []target.Artifact{{Name: "big", Type: target.File, Ref: b.Add(t, strings.Repeat("x", 300_000))}}
	job := target.Job{ID: "job", Script: "wc -c <$AMLFLOW_INPUT_BIG", Host: host(), Inputs: in}
	fill := filepath.Join(mount, "fill")
	if err := os.WriteFile(fill, make([]byte, 400_000), 0o600); err != nil {
		t.Fatal(err)
	}
	err := d.Submit(t.Context(), local(""), job, b)
	if err == nil || !strings.Contains(err.Error(), mount) || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if err := d.Submit(t.Context(), local(""), job, b); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Succeeded || strings.TrimSpace(log(t, d, 0)) != "300000" {
		t.Errorf("got %+v, log %q", st, log(t, d, 0))
	}
}
