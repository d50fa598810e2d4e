package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/engine/cluster"
)

// smallDisk is a file system of its own with little room.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED, the full disk is not tried: a small file system needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// amlflow runs the program in dir and returns its exit code and what it said.
func amlflow(t *testing.T, dir string, env []string, args ...string) (code int, out, words string) {
	t.Helper()
	c := exec.Command("amlflow", args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("amlflow %s\n%s%s", strings.Join(args, " "), o.String(), e.String())
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

// ended ends what a test started for a state folder.
func endAll(t *testing.T, home string) {
	t.Cleanup(func() {
		for len(processesOf(home)) > 0 {
			for _, pid := range processesOf(home) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
}

func TestStateFolderOnFullDisk(t *testing.T) {
	if !cluster.Available {
		t.Skip("the slim build keeps no engine in the state folder: run without -tags slim")
	}
	work, disk := t.TempDir(), smallDisk(t, "256k")
	home := filepath.Join(disk, "state")
	endAll(t, home)
	write(t, work, "p.pipeline.yaml", "amlflow: v1\npipeline: p\nstages:\n  one: { run: echo one }\n")
	code, _, words := amlflow(t, work, []string{"AMLFLOW_HOME=" + home}, "run", "p.pipeline.yaml")
	if code != exitUnreachable && code != exitFault {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"no space left", home} {
		if !strings.Contains(words, want) && !strings.Contains(words, strings.ReplaceAll(want, "no space left", "full")) {
			t.Errorf("nothing about %q in:\n%s", want, words)
		}
	}
}

func TestStoreOnFullDisk(t *testing.T) {
	if !cluster.Available {
		t.Skip("the slim build runs nothing by itself: run without -tags slim")
	}
	work, store, home := t.TempDir(), smallDisk(t, "1m"), filepath.Join(t.TempDir(), "state")
	endAll(t, home)
	write(t, work, "amlflow.yaml", "amlflow: v1\nworkspace: w\nstore: "+store+"\ntargets: { local: { kind: local }, other: { kind: local } }\n")
	// With several targets one is given up soon; the only one is tried for five minutes.
	write(t, work, "p.pipeline.yaml", `amlflow: v1
pipeline: p
stages:
  one:
    target: [local, other]
    run: head -c 4000000 /dev/zero > "$AMLFLOW_OUTPUT_BIG"
    outputs: { big: file }
`)
	code, _, words := amlflow(t, work, []string{"AMLFLOW_HOME=" + home}, "run", "p.pipeline.yaml")
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{"no space left", store, `p.pipeline.yaml:`, `stage "one"`} {
		if !strings.Contains(words, want) {
			t.Errorf("nothing about %q in:\n%s", want, words)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
