package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// lender is a target that lends GPUs, and the jobs that were submitted to it. Which
// devices there are is not asked: a job only learns their names.
type lender struct {
	*testing.T
	d  Driver
	on target.Target
}

func newLender(t *testing.T, settings string) lender {
	t.Helper()
	l := lender{t, Driver{Dir: t.TempDir()}, local(settings)}
	t.Cleanup(func() {
		names, _ := os.ReadDir(filepath.Join(l.d.Dir, "jobs"))
		for _, n := range names {
			l.cancel(n.Name())
			l.ends(n.Name())
		}
	})
	return l
}

// submit submits a job that says which GPUs each of its ranks sees, and runs until it is
// told to end.
func (l lender) submit(id string, gpus, nodes int) {
	l.Helper()
	script := `echo "$CUDA_VISIBLE_DEVICES" >` + l.d.Dir + "/" + id + `.$RANK.part; mv ` + l.d.Dir + "/" + id + `.$RANK.part ` + l.d.Dir + "/" + id + `.$RANK; while [ ! -e ` + l.d.Dir + "/" + id + `.end ]; do sleep 0.01; done`
	job := target.Job{ID: id, Script: script, Host: host(), Needs: target.Resources{GPUs: gpus, Nodes: nodes}, Grace: time.Second}
	if err := l.d.Submit(l.Context(), l.on, job, &targettest.Blobs{}); err != nil {
		l.Fatal(err)
	}
}

func (l lender) status(id string) target.Status {
	l.Helper()
	st, err := l.d.Status(l.Context(), l.on, id)
	if err != nil {
		l.Fatal(err)
	}
	return st
}

// sees returns what rank n of a job that has started is told.
func (l lender) sees(id string, n string) string {
	l.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		l.status(id)
		if text, err := os.ReadFile(filepath.Join(l.d.Dir, id+"."+n)); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	l.Fatalf("job %q did not start: %+v", id, l.status(id))
	return ""
}

func (l lender) waits(id, for_ string) {
	l.Helper()
	if st := l.status(id); st.State != target.Waiting || !strings.Contains(st.Reason, for_) {
		l.Errorf("job %q: got %+v, want it to wait for %q", id, st, for_)
	}
}

func (l lender) end(id string) {
	l.Helper()
	if err := os.WriteFile(filepath.Join(l.d.Dir, id+".end"), nil, 0o600); err != nil {
		l.Fatal(err)
	}
	l.ends(id)
}

func (l lender) cancel(id string) { _ = l.d.Cancel(l.T.Context(), l.on, id, target.CauseCancel) }

func (l lender) ends(id string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if st, err := l.d.Status(l.T.Context(), l.on, id); err != nil || st.State.Ended() {
			return
		}
	}
}

func TestEachJobHasItsGPUsToItself(t *testing.T) {
	l := newLender(t, `{"gpus": 2}`)
	l.submit("a", 1, 1)
	l.submit("b", 1, 1)
	l.submit("c", 1, 1)
	got := []string{l.sees("a", "0"), l.sees("b", "0")}
	if slices.Sort(got); !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("two jobs see %q", got)
	}
	l.waits("c", "it wants 1 GPU, and 0 of 2 free")
	had := l.sees("b", "0")
	l.end("b")
	if got := l.sees("c", "0"); got != had {
		t.Errorf("the third sees %q and not what was given back, %q", got, had)
	}
}

// A job that wants many is not passed by those that want few.
func TestTheFirstThatWaitsForGPUsIsServedFirst(t *testing.T) {
	l := newLender(t, `{"gpus": ["GPU-x", "GPU-y"]}`)
	l.submit("a", 1, 1)
	l.sees("a", "0")
	l.submit("wide", 2, 1)
	l.submit("late", 1, 1)
	l.waits("wide", "it wants 2 GPUs, and 1 of 2 free")
	l.waits("late", "1 job before it")
	l.end("a")
	if got := l.sees("wide", "0"); got != "GPU-x,GPU-y" {
		t.Errorf("it sees %q", got)
	}
	l.waits("late", "0 of 2 free")
	l.end("wide")
	l.sees("late", "0")
}

func TestAJobThatGaveUpWaitingForGPUsIsPassed(t *testing.T) {
	l := newLender(t, `{"gpus": 1}`)
	l.submit("a", 1, 1)
	l.sees("a", "0")
	l.submit("b", 1, 1)
	l.submit("c", 1, 1)
	l.cancel("b")
	if st := l.status("b"); st.State != target.Cancelled {
		t.Errorf("got %+v", st)
	}
	l.end("a")
	l.sees("c", "0")
	if exists(filepath.Join(l.d.Dir, "b.0")) {
		t.Error("a cancelled job has run")
	}
}

func TestRanksSeeTheGPUsOfTheirNode(t *testing.T) {
	l := newLender(t, `{"gpus": 4, "nodes": 2}`)
	l.submit("a", 2, 2)
	if a, b := l.sees("a", "0"), l.sees("a", "1"); a != "0,1" || b != "2,3" {
		t.Errorf("they see %q and %q", a, b)
	}
}

// Who asks for none would disturb those who have some.
func TestAJobThatAsksForNoGPUsSeesNoneThatAreLent(t *testing.T) {
	l := newLender(t, `{"gpus": 1}`)
	l.submit("a", 0, 1)
	if got := l.sees("a", "0"); got != "" {
		t.Errorf("it sees %q", got)
	}
}

func TestMoreGPUsThanThereAreAreRefused(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	err := d.Submit(t.Context(), local(`{"gpus": 1}`), target.Job{ID: "job", Script: "true", Needs: target.Resources{GPUs: 2}}, &targettest.Blobs{})
	if err == nil || !strings.Contains(err.Error(), "lends 1 GPU, the job asks for 2") {
		t.Errorf("got %v", err)
	}
}

// They are kept in memory only, and the process that had them may be gone.
func TestSecretsOfAJobThatWaitsForGPUsAreGivenAgain(t *testing.T) {
	l := newLender(t, `{"gpus": 1}`)
	l.submit("a", 1, 1)
	l.sees("a", "0")
	job := target.Job{ID: "b", Script: `echo "$X_TOKEN" >` + l.d.Dir + "/b.part; mv " + l.d.Dir + "/b.part " + l.d.Dir + "/b.0", Host: host(), Needs: target.Resources{GPUs: 1}, Secrets: map[string]string{"X_TOKEN": "hidden"}}
	if err := l.d.Submit(t.Context(), l.on, job, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	betray("b") // as if this were another process
	l.end("a")
	l.waits("b", "submitted again")
	if err := l.d.Submit(t.Context(), l.on, job, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	if got := l.sees("b", "0"); got != "hidden" {
		t.Errorf("it sees %q", got)
	}
}

func TestGPUsThatAreNotThereAreFoundByTheCheck(t *testing.T) {
	bin := t.TempDir()
	// What `nvidia-smi -L` prints, by NVIDIA's manual; the real one is tried where there is a GPU.
	smi := "#!/bin/sh\necho 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-2222-3333-4444-555555555555)'\n"
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(smi), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	d := Driver{Dir: t.TempDir()}
	for settings, want := range map[string]string{
		`{"gpus": 1}`: "", `{"gpus": ["GPU-11111111-2222-3333-4444-555555555555"]}`: "",
		`{"gpus": 2}`: `the GPU "1"`, `{"gpus": ["GPU-9"]}`: `the GPU "GPU-9"`,
	} {
		err := d.Check(t.Context(), local(settings))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", settings, err)
		}
	}
}
