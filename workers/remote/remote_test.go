package remote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// here is this computer as a machine with an empty work folder.
func here(t *testing.T) (*Machine, string) {
	t.Helper()
	dir := t.TempDir()
	return New(Here{Home: t.TempDir()}, dir), dir
}

// start starts a script as the unit "u".
func start(t *testing.T, m *Machine, script string, change func(*Layout)) {
	t.Helper()
	fill(t, m, script, change)
	if err := m.Launch(t.Context(), "u", nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // that of the test is over
		_ = m.Stop(ctx, "u", "cancelled")
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if v, err := m.Look(ctx, "u"); err != nil || v.Phase != jobdir.Running {
				return
			}
		}
	})
}

func fill(t *testing.T, m *Machine, script string, change func(*Layout)) {
	t.Helper()
	if stage, err := m.Begin(t.Context(), "u"); err != nil || stage != Unfilled {
		t.Fatal(stage, err)
	}
	err := m.Fill(t.Context(), "u", func(dir string) (Layout, error) {
		l := Layout{Process: jobdir.Process{Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Work: dir + "/code"}, Grace: time.Second, Record: map[string]int{"n": 7}}
		if change != nil {
			change(&l)
		}
		return l, nil
	}, &targettest.Blobs{})
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, m *Machine) View {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		v, err := m.Look(t.Context(), "u")
		if err != nil {
			t.Fatal(err)
		}
		if v.Phase == jobdir.Ended || v.Phase == jobdir.Lost {
			return v
		}
	}
	t.Fatal("it did not end")
	return View{}
}

// appears waits for a file, and returns its first line.
func appears(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, _ := os.ReadFile(path); bytes.HasSuffix(text, []byte("\n")) {
			line, _, _ := strings.Cut(string(text), "\n")
			return line
		}
	}
	t.Fatalf("%s never came", path)
	return ""
}

func supervisor(t *testing.T, dir string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.Fields(appears(t, dir+"/jobs/u/started"))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// A supervisor that was killed leaves a lost unit, of which nothing is alive, and which
// never starts again.
func TestAKilledSupervisor(t *testing.T) {
	m, dir := here(t)
	pids := t.TempDir() + "/pid"
	start(t, m, "echo $$ >"+pids+"; exec sleep 300", nil)
	child := appears(t, pids)
	if err := syscall.Kill(supervisor(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v := wait(t, m)
	if v.Phase != jobdir.Lost || v.Reason == "" {
		t.Errorf("got %+v", v)
	}
	if stat, err := os.ReadFile("/proc/" + child + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("the process is still there: %s", stat)
	}
	if err := m.Launch(t.Context(), "u", nil); err != nil {
		t.Fatal(err)
	}
	if again := wait(t, m); again.Reason != v.Reason || !again.End.Equal(v.End) {
		t.Errorf("it was %+v, and is %+v", v, again)
	}
}

// After a restart of the machine a pid may mean another process.
func TestARestartedMachine(t *testing.T) {
	m, dir := here(t)
	start(t, m, "exec sleep 300", nil)
	pid := supervisor(t, dir)
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "300")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	line := fmt.Sprintf("%d another-boot host 1.0 token\n", other.Process.Pid)
	if err := os.WriteFile(dir+"/jobs/u/started", []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, m); v.Phase != jobdir.Lost || !strings.Contains(v.Reason, "restarted") {
		t.Errorf("got %+v", v)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process that has the pid now was harmed: %v", err)
	}
}

// The timeout and the grace hold while nobody looks.
func TestTimeoutAndGraceWithoutAnyone(t *testing.T) {
	m, dir := here(t)
	start(t, m, `trap "" TERM; while :; do sleep 0.1; done`, func(l *Layout) {
		l.Timeout, l.Grace = 300*time.Millisecond, 200*time.Millisecond
	})
	if end := appears(t, dir+"/jobs/u/end"); !strings.HasPrefix(end, "exit 137 ") || !strings.HasSuffix(end, " timeout") {
		t.Errorf("it ended as %q", end)
	}
}

// What was asked to stop before it started never does, and one cancelled in the middle of
// its start neither.
func TestStoppedBetweenSealAndLaunch(t *testing.T) {
	m, dir := here(t)
	fill(t, m, "echo ran", nil)
	if err := m.Stop(t.Context(), "u", "cancelled"); err != nil {
		t.Fatal(err)
	}
	if err := m.Launch(t.Context(), "u", nil); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, m); v.Stopped != "cancelled" || v.Status != 143 {
		t.Errorf("got %+v", v)
	}
	if _, err := os.Stat(dir + "/jobs/u/log"); err == nil {
		t.Error("it ran")
	}
}

// supervise runs n supervisors of the unit "u" to their ends, as those who start it at the
// same time do.
func supervise(t *testing.T, m *Machine, dir string, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		c := exec.Command("setsid", "--wait", "/bin/sh", "bin/"+m.bin, "supervise", "u", token())
		c.Dir, c.Stdin = dir, strings.NewReader("secrets() { :; }\n# whole\n")
		c.Env = []string{"PATH=/usr/bin:/bin", jobdir.Mark + "=" + dir + "/jobs/u:"}
		all.Go(func() { _ = c.Run() }) // the last thing that one does may be to kill itself
	}
	all.Wait()
}

// Of many supervisors one runs the process, whoever started them.
func TestOfManySupervisorsOneRuns(t *testing.T) {
	m, dir := here(t)
	starts := t.TempDir() + "/starts"
	fill(t, m, "echo x >>"+starts, nil)
	supervise(t, m, dir, 20)
	supervise(t, m, dir, 1)
	if text, err := os.ReadFile(starts); string(text) != "x\n" {
		t.Errorf("it started %q times, %v", text, err)
	}
	if v := wait(t, m); v.Phase != jobdir.Ended || v.Status != 0 {
		t.Errorf("got %+v", v)
	}
}

// A supervisor that finds a wish to stop, or that the unit was cleaned, runs nothing.
func TestASupervisorThatComesTooLate(t *testing.T) {
	for name, stop := range map[string]string{"stopped": "jobs/u/stop", "cleaned": "cleaned/u"} {
		m, dir := here(t)
		starts := t.TempDir() + "/starts"
		fill(t, m, "echo x >>"+starts, nil)
		if err := os.WriteFile(filepath.Join(dir, stop), []byte("cancelled 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		supervise(t, m, dir, 1)
		if text, err := os.ReadFile(starts); err == nil {
			t.Errorf("%s: it started %q times", name, text)
		}
		if v, err := m.Look(t.Context(), "u"); err != nil || name == "stopped" && v.Stopped != "cancelled" || name == "cleaned" && v.Known {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
}

// Secrets that were cut off on their way start nothing: half of them is not what the job
// is to be given.
func TestSecretsThatWereCutOff(t *testing.T) {
	m, dir := here(t)
	fill(t, m, "echo ran", nil)
	whole := string(jobdir.Process{Secrets: []string{"A=x\n# whole", "B='"}}.Confided()) + "# whole\n"
	for n := range len(whole) - 1 {
		err := m.call(t.Context(), func(w io.Writer) error {
			_, err := io.WriteString(w, whole[:n])
			return err
		}, nil, "launch", "u")
		if err == nil {
			t.Errorf("%q started something", whole[:n])
		}
	}
	if _, err := os.Stat(dir + "/jobs/u/started"); err == nil {
		t.Error("there is a supervisor")
	}
}

func TestTheRecordComesBack(t *testing.T) {
	m, _ := here(t)
	var got map[string]int
	if ok, err := m.Record(t.Context(), "u", &got); ok || err != nil {
		t.Errorf("before it was laid down: %v, %v", ok, err)
	}
	fill(t, m, "true", nil)
	if ok, err := m.Record(t.Context(), "u", &got); !ok || err != nil || got["n"] != 7 {
		t.Errorf("got %v, %v, %v", got, ok, err)
	}
}

// A folder that was removed is made again, with all that belongs there.
func TestTheWorkFolderIsRemoved(t *testing.T) {
	m, dir := here(t)
	if _, err := m.Begin(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if v, err := New(Here{Home: "/"}, dir).Look(t.Context(), "u"); err != nil || v.Known {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestAHostThatDoesNotListen(t *testing.T) {
	for name, s := range map[string]deaf{"silent": "", "chatty": "Last login: today"} {
		m := New(s, "w")
		if _, err := m.Facts(t.Context()); err == nil || !strings.Contains(err.Error(), string(s)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// deaf is a login shell that does not do what it is told.
type deaf string

func (d deaf) Run(_ context.Context, _ string, _ io.Reader, out io.Writer) error {
	_, err := io.WriteString(out, string(d))
	return err
}

// Nobody knows what is in the tar that a host sends.
func TestHostileTars(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"outside":      {Name: "../evil", Typeflag: tar.TypeReg},
		"absolute":     {Name: "/etc/passwd", Typeflag: tar.TypeReg},
		"a link":       {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"a hard link":  {Name: "link", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"a named pipe": {Name: "pipe", Typeflag: tar.TypeFifo},
	} {
		var text bytes.Buffer
		w := tar.NewWriter(&text)
		if err := errors.Join(w.WriteHeader(&h), w.Close()); err != nil {
			t.Fatal(err)
		}
		if list, err := putTar(t.Context(), &text, &targettest.Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%s: got %v, %v", name, list, err)
		}
	}
}

// A tar that was cut off is not taken for a folder with less in it.
func TestATarThatWasCutOff(t *testing.T) {
	m, _ := here(t)
	start(t, m, `mkdir -p ../out/f/a; echo 1 >../out/f/a/1; ln ../out/f/a/1 ../out/f/2; mkdir ../out/f/void`, nil)
	if v := wait(t, m); v.Status != 0 {
		t.Fatalf("got %+v", v)
	}
	out := &targettest.Blobs{}
	ref, err := m.PutTree(t.Context(), "u", "out/f", out)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(dir+"/a", 0o755), os.Mkdir(dir+"/void", 0o755), os.WriteFile(dir+"/a/1", []byte("1\n"), 0o644), os.WriteFile(dir+"/2", []byte("1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if want, err := target.PutTree(t.Context(), out, dir, nil); err != nil || ref != want {
		t.Errorf("got %s, want %s, %v", ref, want, err)
	}
	m.shell = cutting{m.shell, 700}
	if ref, err := m.PutTree(t.Context(), "u", "out/f", out); err == nil {
		t.Errorf("cut off, it gave %s", ref)
	}
}

// cutting is a shell whose answers end early, as if the connection was cut.
type cutting struct {
	Shell
	after int
}

func (c cutting) Run(ctx context.Context, script string, in io.Reader, out io.Writer) error {
	var all bytes.Buffer
	if err := c.Shell.Run(ctx, script, in, &all); err != nil {
		return err
	}
	if _, err := out.Write(all.Bytes()[:min(c.after, all.Len())]); err != nil {
		return err
	}
	return fmt.Errorf("cut: %w", target.ErrUnreachable)
}

// The tool must be read by any shell there is.
func TestTheToolIsPOSIX(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tool.sh")
	if err := os.WriteFile(file, tool(""), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"dash", "bash --posix", "busybox sh", "ksh", "zsh --emulate sh"} {
		f := strings.Fields(shell)
		if _, err := exec.LookPath(f[0]); err != nil {
			t.Logf("SKIP: there is no %s: apt-get install -y %s", f[0], f[0])
			continue
		}
		if said, err := exec.Command(f[0], append(f[1:], "-n", file)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, said)
		}
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	for _, line := range []string{"", "nonsense", "end", "end 0 no", "end 0 no exit", "end 0 no exit x 1 -", "running", "end 0 no killed 1", "end 1 no odd 2 3"} {
		if v, err := parseView(line); err == nil {
			t.Errorf("%q was read as %+v", line, v)
		}
	}
}
