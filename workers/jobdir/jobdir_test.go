package jobdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the worker that gets killed: with a folder in crashIn
// it starts a process there and dies at the step named by crashAt.
const crashIn, crashAt = "JOBDIR_TEST_DIR", "JOBDIR_TEST_STEP"

func TestMain(m *testing.M) {
	dir := os.Getenv(crashIn)
	if dir == "" {
		os.Exit(m.Run())
	}
	step = func(name string) {
		if name == os.Getenv(crashAt) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := Start(context.Background(), dir, counting(dir)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// counting notes each of its starts in a file beside the folder.
func counting(dir string) Process {
	p := sh(dir, `echo x >>starts; [ "$TOKEN" = hidden ] || exit 8; sleep 0.3; exit 7`)
	p.Secrets = []string{"TOKEN=hidden"}
	return p
}

func sh(dir, script string) Process {
	return Process{Argv: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Work: filepath.Dir(dir)}
}

func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "p")
	t.Cleanup(func() { killAll(dir); readLimits(dir).remove() })
	return dir
}

func start(t *testing.T, dir string, p Process) {
	t.Helper()
	if err := Start(t.Context(), dir, p); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, dir string, ok func(View) bool) View {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		v, err := Look(dir)
		if err != nil {
			t.Fatal(err)
		}
		if ok(v) {
			return v
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(Log(dir))
			t.Fatalf("it did not come to that: %+v, log %q", v, text)
		}
	}
}

func ended(v View) bool { return v.Phase == Ended || v.Phase == Lost }

// appears waits for a file with content that ends in a newline.
func appears(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if text, _ := os.ReadFile(path); bytes.HasSuffix(text, []byte("\n")) {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("%s did not appear", path)
	return ""
}

func lifeOf(t *testing.T, dir string) life {
	t.Helper()
	l, err := readLife(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func hasExited(dir string) bool {
	l, err := readLife(dir)
	return err == nil && l.exited
}

// exits waits for the exit status of a process without looking at it.
func exits(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !hasExited(dir); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the process did not exit")
		}
	}
}

func lockLife(t *testing.T, dir string) (*os.File, error) {
	return acquire(t.Context(), filepath.Join(dir, lifeFile), os.O_APPEND, func() bool { return false })
}

func pidIn(t *testing.T, path string) int {
	t.Helper()
	pid, err := strconv.Atoi(appears(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// alive reports whether pid is there and more than a record of its end.
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !bytes.Contains(text, []byte(") Z"))
}

func dies(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func starts(dir string) int {
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(dir), "starts"))
	return strings.Count(string(text), "x")
}

func TestStatus(t *testing.T) {
	for script, want := range map[string]int{"true": 0, "exit 3": 3, "exit 255": 255, "kill -KILL $$": 137, "kill -TERM $$": 143} {
		dir := folder(t)
		start(t, dir, sh(dir, script))
		v := until(t, dir, ended)
		if v.Status != want || v.Phase != Ended || v.Unstarted || v.Stopped != "" || v.Start.IsZero() || v.End.Before(v.Start) {
			t.Errorf("%q: got %+v, want %d", script, v, want)
		}
		if again, _ := Look(dir); again.Status != v.Status || !again.End.Equal(v.End) {
			t.Errorf("%q: the end changed from %+v to %+v", script, v, again)
		}
	}
}

func TestUnstarted(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]int{"no-such-command": 127, plain: 126, "/": 126, "/no/such": 127} {
		dir := folder(t)
		start(t, dir, Process{Argv: []string{command}, Env: []string{"PATH=/bin"}, Work: "/"})
		if v := until(t, dir, ended); !v.Unstarted || v.Status != want {
			t.Errorf("%q: got %+v, want %d", command, v, want)
		}
	}
	dir := folder(t)
	start(t, dir, sh(dir, "exit 127"))
	if v := until(t, dir, ended); v.Unstarted {
		t.Errorf("a command that ran and exited with 127 was called unstarted: %+v", v)
	}
}

func TestEnvironmentIsExact(t *testing.T) {
	var all strings.Builder
	for b := 1; b < 256; b++ {
		all.WriteByte(byte(b))
	}
	env := []string{"ALL=" + all.String(), "QUOTES='\"\\$(touch x)`touch x`", "LINES2=a\n\nb\n", "IFS=abc", "PATH=/bin:/usr/bin", "EMPTY="}
	dir := folder(t)
	start(t, dir, Process{Argv: []string{"/usr/bin/env", "-0"}, Env: env, Work: "/"})
	until(t, dir, ended)
	text, _ := os.ReadFile(Log(dir))
	got := map[string]bool{}
	for _, kv := range strings.Split(string(text), "\x00") {
		if name, _, _ := strings.Cut(kv, "="); name != "" && name != "PWD" && name != "_" {
			got[kv] = true
		}
	}
	for _, kv := range append(env, Mark+"="+dir) {
		if !got[kv] {
			t.Errorf("%q did not arrive", kv)
		}
		delete(got, kv)
	}
	if len(got) > 0 {
		t.Errorf("these came by themselves: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	for _, p := range []Process{
		{Work: "/"},
		{Work: "relative", Argv: []string{"x"}},
		{Work: "/", Argv: []string{"x"}, Env: []string{"a-b=1"}},
		{Work: "/", Argv: []string{"x"}, Env: []string{"1A=1"}},
		{Work: "/", Argv: []string{"a\x00b"}},
	} {
		dir := folder(t)
		if err := Start(t.Context(), dir, p); err == nil || exists(dir, lifeFile) {
			t.Errorf("%+v: got %v", p, err)
		}
	}
}

func TestCrashAtEachStep(t *testing.T) {
	for _, c := range []struct {
		at   string
		want Phase
		runs int
	}{{"prepared", Ended, 1}, {"marked", Ended, 1}, {"spawned", Ended, 1}} {
		t.Run(c.at, func(t *testing.T) {
			dir := folder(t)
			worker := func(at string) error {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), crashIn+"="+dir, crashAt+"="+at)
				return cmd.Run()
			}
			if err := worker(c.at); err == nil {
				t.Fatal("the worker did not die")
			}
			if err := worker(""); err != nil {
				t.Fatal(err)
			}
			v := until(t, dir, ended)
			if v.Phase != c.want || starts(dir) != c.runs || v.Phase == Ended && v.Status != 7 {
				t.Errorf("got %+v after %d starts", v, starts(dir))
			}
			start(t, dir, counting(dir))
			if again, _ := Look(dir); again.Phase != c.want || starts(dir) != c.runs {
				t.Errorf("it started again: %+v after %d starts", again, starts(dir))
			}
		})
	}
}

func TestManyStartsAtOnce(t *testing.T) {
	for range 5 {
		dir := folder(t)
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				if i%10 == 0 {
					cmd := exec.Command(os.Args[0])
					cmd.Env = append(os.Environ(), crashIn+"="+dir)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
					return
				}
				if err := Start(t.Context(), dir, counting(dir)); err != nil {
					t.Error(err)
				}
				if _, err := Look(dir); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if v := until(t, dir, ended); v.Status != 7 || starts(dir) != 1 {
			t.Errorf("got %+v after %d starts", v, starts(dir))
		}
	}
}

// A starter that looked before the process was started and gets the lock only
// after it has ended must look again.
func TestLateLockStartsNothing(t *testing.T) {
	dir := folder(t)
	p := sh(dir, "echo x >>starts")
	start(t, dir, p)
	exits(t, dir)
	lock, err := lockLife(t, dir) // waits for the supervisor's end
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(launch(dir, p, lock), lock.Close()); err != nil {
		t.Fatal(err)
	}
	lock, err = lockLife(t, dir) // there would be another to wait for
	if err != nil || starts(dir) != 1 {
		t.Fatalf("%d starts, %v", starts(dir), err)
	}
	lock.Close()
}

// A wish to stop that was written after the process had ended, but before
// anyone had seen the end, is not why it ended.
func TestStopThatCameTooLate(t *testing.T) {
	dir := folder(t)
	start(t, dir, sh(dir, "exit 3"))
	exits(t, dir)
	path := filepath.Join(dir, lifeFile)
	past := time.Now().Add(-time.Second)
	if err := errors.Join(os.Chtimes(path, past, past), writeFirst(dir, stopFile, stop{Cause: "late"})); err != nil {
		t.Fatal(err)
	}
	if v := until(t, dir, ended); v.Stopped != "" || v.Status != 3 {
		t.Errorf("got %+v", v)
	}
}

func TestSupervisorKilledIsLost(t *testing.T) {
	dir := folder(t)
	start(t, dir, sh(dir, "echo x >>starts; setsid sh -c 'echo $$ >daemon; exec sleep 300' & echo $$ >pid; sleep 300"))
	job, daemon := pidIn(t, filepath.Join(dir, "../pid")), pidIn(t, filepath.Join(dir, "../daemon"))
	v := until(t, dir, func(v View) bool { return v.PID > 0 })
	if err := syscall.Kill(v.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if v = until(t, dir, ended); v.Phase != Lost || v.Reason == "" {
		t.Errorf("got %+v", v)
	}
	dies(t, job)
	dies(t, daemon)
	start(t, dir, counting(dir))
	if v, _ := Look(dir); v.Phase != Lost || starts(dir) != 1 {
		t.Errorf("got %+v after %d starts", v, starts(dir))
	}
}

// A start that died before there was a supervisor may be made again, unless a
// reader has called it lost before.
func TestADeadStartThatWasSeenIsLost(t *testing.T) {
	dir := folder(t)
	os.MkdirAll(dir, 0o700)
	os.WriteFile(filepath.Join(dir, lifeFile), []byte("starting "+BootID()+"\n"), 0o600)
	if Started(dir) {
		t.Error("it counts as started")
	}
	if v := until(t, dir, ended); v.Phase != Lost {
		t.Errorf("got %+v", v)
	}
	start(t, dir, counting(dir))
	if v, _ := Look(dir); v.Phase != Lost || starts(dir) != 0 {
		t.Errorf("got %+v after %d starts", v, starts(dir))
	}
}

func TestFalseRecordsAreLostAndHarmNoOne(t *testing.T) {
	bystander := exec.Command("sleep", "300")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bystander.Process.Kill(); bystander.Wait() })
	pid := bystander.Process.Pid
	for name, c := range map[string]struct{ boot, reason string }{
		"reused pid": {BootID(), "supervisor"},
		"reboot":     {"another-boot", "restarted"},
	} {
		dir := folder(t)
		os.MkdirAll(dir, 0o700)
		os.WriteFile(filepath.Join(dir, lifeFile), fmt.Appendf(nil, "starting %s\nstarted %d\n", c.boot, pid), 0o600)
		if got := lifeOf(t, dir).supervisor(dir); got != 0 {
			t.Errorf("%s: %d was taken for the supervisor", name, got)
		}
		if v, err := Look(dir); err != nil || v.Phase != Lost || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
		if !alive(pid) {
			t.Fatalf("%s: a bystander was killed", name)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	dir := folder(t)
	start(t, dir, sh(dir, "sleep 300 & echo $! >child; setsid sh -c 'echo $$ >daemon; exec sleep 300' & while [ ! -s daemon ]; do :; done; exit 4"))
	if v := until(t, dir, ended); v.Status != 4 {
		t.Errorf("got %+v", v)
	}
	dies(t, pidIn(t, filepath.Join(dir, "../child")))
	dies(t, pidIn(t, filepath.Join(dir, "../daemon")))
}

func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		grace  time.Duration
		status int
	}{
		"by TERM":         {"echo $$ >pid; exec sleep 300", time.Hour, 143},
		"gracefully":      {"trap 'echo bye; exit 5' TERM; echo $$ >pid; while :; do sleep 0.01; done", time.Hour, 5},
		"by KILL":         {"trap '' TERM; echo $$ >pid; while :; do sleep 1; done", 50 * time.Millisecond, 137},
		"while suspended": {"echo $$ >pid; kill -STOP $$; sleep 300", time.Hour, 143},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			start(t, dir, sh(dir, c.script))
			pid := pidIn(t, filepath.Join(dir, "../pid"))
			for _, cause := range []string{"first", "second"} {
				if err := Stop(dir, cause, c.grace); err != nil {
					t.Fatal(err)
				}
			}
			if v := until(t, dir, ended); v.Phase != Ended || v.Stopped != "first" || v.Status != c.status {
				t.Errorf("got %+v, want %d", v, c.status)
			}
			dies(t, pid)
		})
	}
}

func TestStopBeforeStartAndAfterEnd(t *testing.T) {
	dir := folder(t)
	os.MkdirAll(dir, 0o700)
	if err := Stop(dir, "why", 0); err != nil {
		t.Fatal(err)
	}
	start(t, dir, counting(dir))
	if v := until(t, dir, ended); v.Stopped != "why" || starts(dir) != 0 {
		t.Errorf("got %+v after %d starts", v, starts(dir))
	}
	dir = folder(t)
	start(t, dir, counting(dir))
	want := until(t, dir, ended)
	if err := Stop(dir, "late", 0); err != nil {
		t.Fatal(err)
	}
	if v, _ := Look(dir); v.Stopped != "" || v.Status != want.Status {
		t.Errorf("got %+v", v)
	}
}

// A stop at any moment of a start ends in a legal state: stopped, and dead.
func TestStopWhileStarting(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	for range 30 {
		dir := folder(t)
		os.MkdirAll(dir, 0o700)
		pause := time.Duration(r.Intn(4000)) * time.Microsecond
		var wg sync.WaitGroup
		wg.Go(func() { Start(context.Background(), dir, sh(dir, "exec sleep 300")) })
		wg.Go(func() { time.Sleep(pause); Stop(dir, "why", time.Hour) })
		wg.Wait()
		if v := until(t, dir, ended); v.Stopped != "why" {
			t.Fatalf("after %v: got %+v", pause, v)
		}
	}
}

func TestRemove(t *testing.T) {
	dir := folder(t)
	start(t, dir, sh(dir, "sleep 300"))
	until(t, dir, func(v View) bool { return v.PID > 0 })
	if err := Remove(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("got %v", err)
	}
	Stop(dir, "test", 0)
	until(t, dir, ended)
	os.MkdirAll(filepath.Join(dir, "ro/sub"), 0o700)
	os.Chmod(filepath.Join(dir, "ro"), 0o500)
	for range 2 {
		if err := Remove(dir); err != nil || exists(dir, "") {
			t.Errorf("got %v", err)
		}
	}
}
