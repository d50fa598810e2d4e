package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sh(dir, script string) command {
	return command{dir: dir, args: []string{"/bin/sh", "-c", script}}
}

func TestMeasured(t *testing.T) {
	s, err := sh(t.TempDir(), "echo done").measured(t.Context())
	if err != nil || s.seconds <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A process begins in the memory of the one that starts it, which is not its own.
func TestMemoryIsItsOwn(t *testing.T) {
	ours := peakOf(os.Getpid())
	if ours == 0 {
		t.Skip("SKIPPED: the memory of another process is told by /proc, which only Linux has")
	}
	r, err := sh(t.TempDir(), "sleep 1000 & wait").start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.abandon()
	if theirs := peakOf(r.Process.Pid); theirs <= 0 || theirs >= ours {
		t.Errorf("a shell holds %d bytes, and this program %d", theirs, ours)
	}
}

func TestAFailureSaysItsLastWords(t *testing.T) {
	_, err := sh(t.TempDir(), "echo first; echo; echo second; printf '\\033[31m%s\\033[0m\\n' ' the reason '; echo last; exit 3").measured(t.Context())
	if err == nil || err.Error() != "exit status 3: second / the reason / last" {
		t.Errorf("%v", err)
	}
	if _, err = sh(t.TempDir(), "exit 4").measured(t.Context()); err == nil || err.Error() != "exit status 4: it said nothing" {
		t.Errorf("%v", err)
	}
}

func TestWhatTakesTooLongIsKilledWithAllOfIt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	dir := t.TempDir()
	r, err := sh(dir, "echo x > marks; sleep 1000 & wait").start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitMarks(r, filepath.Join(dir, marks), 1); err != nil {
		t.Fatal(err)
	}
	cancel(context.DeadlineExceeded)
	if _, err := r.wait(); err == nil {
		t.Error("it was killed, and has succeeded")
	}
}

func TestAtATime(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"1", "2", "3"} {
		if err := os.Mkdir(filepath.Join(dir, n), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := command{dir: dir, args: atATime(3, []string{"/bin/sh", "-c", `echo "it's" > "$0"`, "a name"}, "cd {} && ")}
	if _, err := c.measured(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"1", "2", "3"} {
		if text, err := os.ReadFile(filepath.Join(dir, n, "a name")); string(text) != "it's\n" {
			t.Errorf("%q, %v", text, err)
		}
	}
}

// A chain that is killed at its 50th stage and goes on with its 51st, its 49th, or never.
func TestKilling(t *testing.T) {
	for _, c := range []struct {
		name, resume string
		again        int
		fails        string
	}{
		{"goes on", `i=$(wc -l < marks)`, 0, ""},
		{"runs two again", `i=$(($(wc -l < marks) - 2))`, 2, ""},
		{"skips one", `i=$(($(wc -l < marks) + 1))`, 0, "99 stages began, not 100"},
		{"fails", `echo lost; exit 1`, 0, "exit status 1: lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := killing{
				dir: dir,
				begin: func() (*running, error) {
					return sh(dir, `for i in $(seq 0 49); do echo "s$i" >> marks; done; sleep 1000`).start(t.Context())
				},
				strike: func(r *running) error { r.stop(); return nil },
				again: func() (*running, error) {
					return sh(dir, c.resume+`; while [ $i -lt 100 ]; do echo "s$i" >> marks; i=$((i + 1)); done`).start(t.Context())
				},
			}.measured()
			if c.fails == "" && (err != nil || s.again != c.again) || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestKillingOfWhatEndsBeforeIt(t *testing.T) {
	dir := t.TempDir()
	_, err := killing{dir: dir, begin: func() (*running, error) { return sh(dir, "echo s0 >> marks; exit 7").start(t.Context()) }}.measured()
	if err == nil || !strings.Contains(err.Error(), "ended after 1 stages") {
		t.Error(err)
	}
}
