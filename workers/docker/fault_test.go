package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/client"
)

// steps are the places in Submit where a worker may die, or sleep.
var steps = []string{"drafted", "elected", "armed", "started"}

// errand is what a second process of this program submits.
type errand struct {
	Dir     string
	Target  target.Target
	Job     target.Job
	Secrets map[string]string
	Step    string         // where it sends itself the signal
	Signal  syscall.Signal // KILL to die there, STOP to sleep
}

const errandVariable = "AMLFLOW_TEST_ERRAND"

// runErrand is the second process.
func runErrand(text string) int {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		fmt.Println(err)
		return 1
	}
	awoken := make(chan os.Signal, 1)
	signal.Notify(awoken, syscall.SIGCONT)
	step = func(name string) {
		if name == e.Step {
			_ = syscall.Kill(os.Getpid(), e.Signal)
			<-awoken // another thread may have got it
		}
	}
	e.Job.Secrets = e.Secrets
	if err := (Driver{Dir: e.Dir}).Submit(context.Background(), e.Target, e.Job, &targettest.Blobs{}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// sendErrand submits j in another process, which gets a signal at a step, and returns
// once it is dead or stopped.
func (x table) sendErrand(j target.Job, at string, sig syscall.Signal) *exec.Cmd {
	x.Helper()
	text, err := json.Marshal(errand{Dir: x.d.Dir, Target: x.t, Job: j, Secrets: j.Secrets, Step: at, Signal: sig})
	if err != nil {
		x.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), errandVariable+"="+string(text))
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { _ = c.Process.Kill() })
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(c.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil {
		x.Fatal(err)
	}
	if ws.Exited() || sig == syscall.SIGSTOP && !ws.Stopped() {
		x.Fatalf("the other process did not get to %q: %v", at, ws)
	}
	return c
}

// awake lets a process go on that sleeps, and wants that it ends well.
func (x table) awake(c *exec.Cmd) {
	x.Helper()
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		x.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		x.Errorf("the other submission: %v", err)
	}
}

// counting is a job that notes its starts in a folder that the test sees.
func counting(t *testing.T, r rig) (table, target.Job, func() int) {
	t.Helper()
	shared := t.TempDir()
	x := newTable(t, r, map[string]any{"volumes": []string{shared + ":/shared:rw"}})
	j := target.Job{ID: "counting", Script: `[ "$TOKEN" = hidden ] && echo x >>/shared/starts; exit 7`, Secrets: map[string]string{"TOKEN": "hidden"}}
	return x, j, func() int {
		text, _ := os.ReadFile(filepath.Join(shared, "starts"))
		return strings.Count(string(text), "x")
	}
}

// faults asks of both engines, at every step.
func faults(t *testing.T, ask func(t *testing.T, r rig, at string)) {
	onBoth(t, func(t *testing.T, r rig) {
		for _, at := range steps {
			t.Run(at, func(t *testing.T) { ask(t, r, at) })
		}
	})
}

// A worker that dies anywhere in Submit leaves a job that another starts once.
func TestSubmissionDies(t *testing.T) {
	faults(t, func(t *testing.T, r rig, at string) {
		x, j, starts := counting(t, r)
		x.sendErrand(j, at, syscall.SIGKILL)
		x.submit(j, &targettest.Blobs{})
		x.submit(j, &targettest.Blobs{})
		if st := x.wait(j.ID); st.Exit != 7 || starts() != 1 {
			t.Errorf("%d starts, %+v", starts(), st)
		}
	})
}

// A worker that sleeps while another takes over, and wakes up when the job has ended,
// does not start it again.
func TestSubmissionSleeps(t *testing.T) {
	faults(t, func(t *testing.T, r rig, at string) {
		x, j, starts := counting(t, r)
		other := x.sendErrand(j, at, syscall.SIGSTOP)
		x.submit(j, &targettest.Blobs{})
		was := x.wait(j.ID)
		x.awake(other)
		if st := x.wait(j.ID); st.Exit != 7 || starts() != 1 || !st.End.Equal(was.End) {
			t.Errorf("%d starts, %+v, before %+v", starts(), st, was)
		}
	})
}

// A Cancel that comes while a worker sleeps in Submit is the last word, and so is a
// Clean behind it.
func TestCancelMeetsSubmission(t *testing.T) {
	faults(t, func(t *testing.T, r rig, at string) {
		if at == "started" {
			t.Skip("it has started then, and is stopped like any other")
		}
		x, j, starts := counting(t, r)
		other := x.sendErrand(j, at, syscall.SIGSTOP)
		x.cancel(j.ID)
		x.awake(other)
		if st := x.wait(j.ID); st.State != target.Cancelled || starts() != 0 {
			t.Errorf("%d starts, %+v", starts(), st)
		}
		if err := x.d.Clean(t.Context(), x.t, j.ID); err != nil {
			t.Fatal(err)
		}
		x.submit(j, &targettest.Blobs{})
		if left := r.left(t); len(left) != 1 || left[0] != "volume amlflow-counting" || starts() != 0 {
			t.Errorf("%d starts, left: %q", starts(), left)
		}
	})
}

// A container that somebody removed is a lost job, which never runs again.
func TestRemovedContainerIsLost(t *testing.T) {
	r := onPodman(t)
	x, j, starts := counting(t, r)
	x.submit(j, &targettest.Blobs{})
	x.wait(j.ID)
	e := r.engineOf(t)
	all, err := e.containers(t.Context(), j.ID)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d containers, %v", len(all), err)
	}
	if err := e.drop(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	x.submit(j, &targettest.Blobs{})
	if st := x.status(j.ID); st.State != target.Lost || !strings.Contains(st.Reason, "removed") || starts() != 1 {
		t.Errorf("%d starts, %+v", starts(), st)
	}
	if res, err := x.d.Collect(t.Context(), x.t, j.ID, &targettest.Blobs{}); err != nil || len(res.Artifacts) != 0 {
		t.Errorf("collected %+v, %v", res, err)
	}
}

// A mark that somebody removed as an unused volume makes no difference to a container
// that was started.
func TestRemovedMark(t *testing.T) {
	r := onPodman(t)
	x, j, starts := counting(t, r)
	x.submit(j, &targettest.Blobs{})
	was := x.wait(j.ID)
	if _, err := r.engineOf(t).VolumeRemove(t.Context(), markName(j.ID), client.VolumeRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	x.submit(j, &targettest.Blobs{})
	if st := x.status(j.ID); st.Exit != 7 || !st.End.Equal(was.End) || starts() != 1 {
		t.Errorf("%d starts, %+v", starts(), st)
	}
}
