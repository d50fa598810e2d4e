package pyenv

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var six = target.Python{Packages: []string{"six==1.16.0"}}

// The test binary is also the maker that gets killed: it makes the environment six
// in makerDir with the PATH in makerPath, and dies at the step in makerStep.
const makerDir, makerPath, makerStep = "PYENV_TEST_DIR", "PYENV_TEST_PATH", "PYENV_TEST_STEP"

func TestMain(m *testing.M) {
	dir := os.Getenv(makerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	step = func(name string) {
		if name == os.Getenv(makerStep) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if _, err := Folder(dir).Make(context.Background(), six, map[string]string{"PATH": os.Getenv(makerPath)}); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// maker starts a process that makes six.
func (f *fake) maker(step string) *exec.Cmd {
	f.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), makerDir+"="+string(f.envs), makerPath+"="+f.host()["PATH"], makerStep+"="+step)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		f.Fatal(err)
	}
	return c
}

func (f *fake) make(p target.Python) (string, error) { return f.envs.Make(f.Context(), p, f.host()) }

// whole checks that an environment is there and complete.
func (f *fake) whole(venv string, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(venv, "bin", "python")); err != nil {
		f.Error(err)
	}
	if _, err := os.Stat(filepath.Join(venv, "bin", "half")); err == nil {
		f.Error("it is half made")
	}
}

func TestTheSameIsMadeOnce(t *testing.T) {
	f := newFake(t, map[string]string{"python3": "3.11.2"})
	f.tell("hold", "")
	var all sync.WaitGroup
	venvs := make([]string, 20)
	for i := range venvs {
		all.Go(func() {
			venv, err := f.make(six)
			f.whole(venv, err)
			venvs[i] = venv
		})
	}
	f.await("pid")
	f.forget("hold")
	all.Wait()
	if got := f.calls(); got != "venv install" {
		t.Errorf("got %s", got)
	}
	for _, v := range venvs {
		if v != venvs[0] {
			t.Errorf("got %q and %q", v, venvs[0])
		}
	}
	var m made
	text, err := os.ReadFile(filepath.Join(filepath.Dir(venvs[0]), madeFile))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil || m.Python.Version != "3.11.2" || strings.Join(m.Installed, " ") != "six==1.16.0" || strings.Join(m.Lines, " ") != "six==1.16.0" {
		t.Errorf("got %s, %v", text, err)
	}
	// Neither order of comments nor way of saying it makes another one.
	for _, same := range []target.Python{{Requirements: "# pinned\nsix==1.16.0\n"}, {Version: "3", Packages: []string{" six==1.16.0 "}}} {
		if venv, err := f.make(same); err != nil || venv != venvs[0] {
			t.Errorf("%+v: got %q, %v", same, venv, err)
		}
	}
	if venv, err := f.make(target.Python{}); err != nil || venv == venvs[0] || f.calls() != "venv install venv" {
		t.Errorf("got %q, %v after %s", venv, err, f.calls())
	}
}

// A maker that was killed leaves nothing that is taken for whole, and what it
// started ends before another begins.
func TestAKilledMaker(t *testing.T) {
	for _, at := range []string{"cleared", "venv", "installed", "synced"} {
		t.Run(at, func(t *testing.T) {
			f := newFake(t, map[string]string{"python3": "3.11.2"})
			if err := f.maker(at).Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("got %v", err)
			}
			if entries, err := filepath.Glob(string(f.envs) + "/*/" + madeFile); err != nil || len(entries) > 0 {
				t.Fatalf("got %q, %v", entries, err)
			}
			f.whole(f.make(six))
		})
	}
}

func TestAMakerKilledWhilePipRuns(t *testing.T) {
	f := newFake(t, map[string]string{"python3": "3.11.2"})
	f.tell("hold", "")
	c := f.maker("")
	pid, err := strconv.Atoi(f.await("pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Process.Kill(), ignoreExit(c.Wait())); err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(pid, 0) != nil {
		t.Fatal("pip ended with its maker: this test asks nothing")
	}
	// The one that goes on waiting for pip must end, so that pip is not still at
	// work when the environment is said to be whole.
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.whole(f.make(six))
	}()
	for end := time.Now().Add(20 * time.Second); f.calls() != "venv install venv install"; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the next did not begin: %s", f.calls())
		}
	}
	if alive(pid) {
		t.Error("two at once are at work in one environment")
	}
	f.forget("hold")
	<-done
}

// alive reports whether a process runs; one that ended and was not yet seen by its
// parent does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func ignoreExit(err error) error {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return nil
	}
	return err
}

func TestCancellingEndsPip(t *testing.T) {
	f := newFake(t, map[string]string{"python3": "3.11.2"})
	f.tell("hold", "")
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := f.envs.Make(ctx, six, f.host())
			errs <- err
		}()
	}
	pid, err := strconv.Atoi(f.await("pid"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 2 {
		if err := <-errs; !errors.Is(err, context.Canceled) || errors.Is(err, target.ErrPermanent) {
			t.Errorf("got %v", err)
		}
	}
	if alive(pid) {
		t.Error("pip goes on")
	}
	f.forget("hold")
	f.whole(f.make(six))
}

// Those that waited for a try that was in vain do not repeat it; whoever comes
// later does, because somebody may have mended what was wrong.
func TestFailures(t *testing.T) {
	waiting := make(chan bool, 100)
	step = func(name string) {
		if name == "waiting" {
			waiting <- true
		}
	}
	defer func() { step = func(string) {} }()
	for _, c := range []struct {
		said      string
		permanent bool
	}{
		{"ERROR: Could not find a version that satisfies the requirement six==1.16.0 (from versions: 1.0)", true},
		{"WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for six==1.16.0 (from versions: none)", false},
	} {
		for len(waiting) > 0 {
			<-waiting
		}
		f := newFake(t, map[string]string{"python3": "3.11.2"})
		f.tell("fail", c.said)
		f.tell("hold", "")
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() {
				_, err := f.make(six)
				errs <- err
			}()
		}
		f.await("pid")
		for range cap(errs) {
			<-waiting
		}
		f.forget("hold")
		for range cap(errs) {
			if err := <-errs; errors.Is(err, target.ErrPermanent) != c.permanent || !strings.Contains(err.Error(), "six==1.16.0") {
				t.Errorf("got %v", err)
			}
		}
		if tries := strings.Count(f.calls(), "install"); c.permanent && tries != 1 || !c.permanent && tries < 2 {
			t.Errorf("permanent %t: got %s", c.permanent, f.calls())
		}
		f.forget("fail")
		f.whole(f.make(six))
	}
}

func TestAVanishedPythonIsMadeAgain(t *testing.T) {
	f := newFake(t, map[string]string{"python3": "3.11.2"})
	venv, err := f.make(six)
	f.whole(venv, err)
	if err := os.Remove(filepath.Join(venv, "bin", "python")); err != nil {
		t.Fatal(err)
	}
	f.whole(f.make(six))
}

func TestFind(t *testing.T) {
	f := newFake(t, map[string]string{"python3": "3.12.1", "python3.11": "", "python3.10": "3.10.4"})
	second := newFake(t, map[string]string{"python3": "3.9.2", "python3.11": "3.11.2"})
	path := f.bin + ":relative:" + second.bin + ":/usr/bin-not-there"
	for version, want := range map[string]string{
		"":        f.bin + "/python3",
		"3":       f.bin + "/python3",
		"3.12":    f.bin + "/python3",
		"3.11":    second.bin + "/python3.11", // the first is a shim for what was removed
		"3.11.2":  second.bin + "/python3.11",
		"3.9":     second.bin + "/python3",
		"3.10":    f.bin + "/python3.10",
		"3.1":     "there is no python3.1 in the PATH, only 3.10.4 (",
		"3.11.20": "there is no python3.11.20 in the PATH, only 3.10.4 (",
	} {
		got, err := find(t.Context(), version, []string{"PATH=" + path, "PIP_FAKE=" + f.say, "X=1"})
		if err == nil && got.Path != want || err != nil && (!errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %+v, %v, want %s", version, got, err, want)
		}
	}
	_, err := find(t.Context(), "", []string{"PATH=/nowhere"})
	if err == nil || !strings.Contains(err.Error(), "no python3 that works in the PATH (/nowhere): install it") {
		t.Errorf("got %v", err)
	}
}

func TestEnviron(t *testing.T) {
	own := []string{"PATH=/own", "HOME=/own", "PIP_INDEX_URL=https://me:word@h", "PIP_TARGET=/x", "PIP_USER=1", "HTTPS_PROXY=p", "PYTHONPATH=/x", "SECRET=1", "LD_PRELOAD=x"}
	got := strings.Join(Environ(map[string]string{"PATH": "/host", "LC_ALL": "C", "PIP_NO_INDEX": "1", "PYTHONHOME": "x"}, own), " ")
	want := "GIT_TERMINAL_PROMPT=0 HOME=/own HTTPS_PROXY=p LC_ALL=C PATH=/host PIP_INDEX_URL=https://me:word@h PIP_USER=0"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestActivate(t *testing.T) {
	env := map[string]string{"PATH": "/a:/b", "PYTHONHOME": "/x"}
	Activate(env, "/v")
	if len(env) != 2 || env["PATH"] != "/v/bin:/a:/b" || env["VIRTUAL_ENV"] != "/v" {
		t.Errorf("got %v", env)
	}
}
