package local

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// The test binary is also the worker that gets killed: it submits the job in
// workerJob, dies at the step in workerStep, or follows the job to its end.
const workerDir, workerJob, workerStep = "LOCAL_TEST_DIR", "LOCAL_TEST_JOB", "LOCAL_TEST_STEP"

func TestMain(m *testing.M) {
	if dir := os.Getenv(gatewayDir); dir != "" {
		if err := gateway.Main(context.Background(), dir, nil, os.Stderr); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(workerDir) == "" {
		os.Exit(m.Run())
	}
	step = func(name string) {
		if name == os.Getenv(workerStep) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := work(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func work() error {
	d := Driver{Dir: os.Getenv(workerDir)}
	var job target.Job
	if err := json.Unmarshal([]byte(os.Getenv(workerJob)), &job); err != nil {
		return err
	}
	in, _, err := code()
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := d.Submit(ctx, local(`{"nodes": 2}`), job, in); err != nil {
		return err
	}
	for {
		st, err := d.Status(ctx, local(""), job.ID)
		if err != nil || st.State.Ended() {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// code stores a small tree, the same in every process.
func code() (*targettest.Blobs, target.Ref, error) {
	dir, err := os.MkdirTemp("", "code")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(dir, "f"+strconv.Itoa(i)), []byte(strconv.Itoa(i)), 0o644); err != nil {
			return nil, "", err
		}
	}
	b := &targettest.Blobs{}
	ref, err := target.PutTree(context.Background(), b, dir, nil)
	return b, ref, err
}

// worker starts a worker for job; it dies at the given step, or not if empty.
func worker(t *testing.T, d Driver, job target.Job, at string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), workerDir+"="+d.Dir, workerJob+"="+string(text), workerStep+"="+at)
	return c
}

// lineJob writes lines for a while, exits with 7 and counts its starts by rank.
func lineJob(t *testing.T, d Driver, lines int) target.Job {
	t.Helper()
	_, ref, err := code()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`echo x >>%s/starts$RANK; cat f0 f19; echo; i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 7`, d.Dir, lines)
	return target.Job{ID: "job", Script: script, Host: host(), Code: ref, Grace: time.Second}
}

func starts(d Driver, rank int) int {
	text, _ := os.ReadFile(filepath.Join(d.Dir, "starts"+strconv.Itoa(rank)))
	return strings.Count(string(text), "x")
}

func driver(t *testing.T) Driver {
	t.Helper()
	d := Driver{Dir: t.TempDir()}
	t.Cleanup(func() {
		_ = d.Cancel(context.Background(), local(""), "job", target.CauseCancel)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if st, err := d.Status(context.Background(), local(""), "job"); err != nil || st.State.Ended() {
				break
			}
		}
		_ = d.Clean(context.Background(), local(""), "job")
	})
	return d
}

func wait(t *testing.T, d Driver) target.Status {
	t.Helper()
	return waitFor(t, d, "job")
}

func waitFor(t *testing.T, d Driver, id string) target.Status {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		st, err := d.Status(t.Context(), local(""), id)
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Ended() {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("it did not end: %+v", st)
		}
	}
}

func log(t *testing.T, d Driver, rank int) string {
	t.Helper()
	var w strings.Builder
	if _, err := d.Read(t.Context(), local(""), "job", target.Stream{Name: target.Log, Rank: rank}, 0, &w); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func wantLines(n int) string {
	var b strings.Builder
	b.WriteString("019\n")
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// F1: the worker is killed again and again while the job is submitted and runs.
func TestWorkerKilledManyTimes(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	d := driver(t)
	job := lineJob(t, d, 40)
	for range 20 {
		c := worker(t, d, job, "")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Intn(60_000)) * time.Microsecond)
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	if out, err := worker(t, d, job, "").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if st := wait(t, d); st.Exit != 7 || st.Cause != target.CauseExit || starts(d, 0) != 1 || log(t, d, 0) != wantLines(40) {
		t.Errorf("%d starts, %+v, log %q", starts(d, 0), st, log(t, d, 0))
	}
}

// F2: the worker dies at each step of a submission of two ranks.
func TestWorkerKilledAtEachStep(t *testing.T) {
	for _, at := range []string{"locked", "delivered", "filled", "started 0", "started 1"} {
		t.Run(at, func(t *testing.T) {
			d := driver(t)
			job := lineJob(t, d, 3)
			job.Needs.Nodes = 2
			if err := worker(t, d, job, at).Run(); err == nil {
				t.Fatal("the worker did not die")
			}
			if out, err := worker(t, d, job, "").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if st := wait(t, d); st.Exit != 7 {
				t.Errorf("got %+v", st)
			}
			for rank := range 2 {
				// The other rank may have been stopped at any line, or before its first.
				if starts(d, rank) > 1 || !strings.HasPrefix(wantLines(3), log(t, d, rank)) {
					t.Errorf("rank %d: %d starts, log %q", rank, starts(d, rank), log(t, d, rank))
				}
			}
		})
	}
}

func TestTwoProcessesSubmitAtOnce(t *testing.T) {
	d := driver(t)
	job := lineJob(t, d, 3)
	var cs []*exec.Cmd
	for range 6 {
		c := worker(t, d, job, "")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		cs = append(cs, c)
	}
	for _, c := range cs {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if st := wait(t, d); st.Exit != 7 || starts(d, 0) != 1 || log(t, d, 0) != wantLines(3) {
		t.Errorf("%d starts, %+v, log %q", starts(d, 0), st, log(t, d, 0))
	}
}

// submit submits script as the job and waits until it has written its pid.
func submit(t *testing.T, d Driver, script string, needs target.Resources) (pid int) {
	t.Helper()
	path := filepath.Join(d.Dir, "pid")
	job := target.Job{ID: "job", Script: "echo x >>" + d.Dir + "/starts$RANK; echo $$ >" + path + "\n" + script, Host: host(), Needs: needs, Grace: time.Second}
	if err := d.Submit(t.Context(), local(""), job, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		text, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && strings.HasSuffix(string(text), "\n") {
			return pid
		}
	}
	t.Fatal("the job did not start")
	return 0
}

// F5.
func TestJobKilled(t *testing.T) {
	d := driver(t)
	pid := submit(t, d, "sleep 300", target.Resources{})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Failed || st.Cause != target.CauseSignal || st.Signal != 9 || st.Exit != 137 {
		t.Errorf("got %+v", st)
	}
}

// F6.
func TestSupervisorKilled(t *testing.T) {
	d := driver(t)
	pid := submit(t, d, "sleep 300", target.Resources{})
	f, _ := d.folder("job")
	v, err := jobdir.Look(f.rank(0))
	if err != nil || v.PID == 0 {
		t.Fatalf("got %+v, %v", v, err)
	}
	if err := syscall.Kill(v.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Lost || st.Cause != target.CauseLost || st.Reason == "" {
		t.Errorf("got %+v", st)
	}
	for end := time.Now().Add(time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(stat), ") Z") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the job outlived its supervisor")
		}
	}
	if err := d.Submit(t.Context(), local(""), target.Job{ID: "job", Script: "true"}, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Lost || starts(d, 0) != 1 {
		t.Errorf("it was started again: %+v", st)
	}
}

// F14: what a job writes may be anything, and may be cut under the reader.
func TestHostileLog(t *testing.T) {
	d := driver(t)
	submit(t, d, `printf 'a\000b'; head -c 20000000 /dev/zero; : >../log; printf tail`, target.Resources{})
	if st := wait(t, d); st.State != target.Succeeded {
		t.Fatalf("got %+v", st)
	}
	var w strings.Builder
	n, err := d.Read(t.Context(), local(""), "job", target.Stream{Name: target.Log}, 10_000_000, &w)
	if err != nil || w.Len() != 0 || n != 4 {
		t.Errorf("read %d bytes up to %d, %v", w.Len(), n, err)
	}
	if got := log(t, d, 0); got != "tail" {
		t.Errorf("got %.40q", got)
	}
}
