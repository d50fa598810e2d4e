package ssh

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// bench is a target that lends two GPUs, as far as its jobs can tell.
type bench struct {
	*rig
	t   target.Target
	dir string
}

func startBench(t *testing.T) bench {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("SKIP: there is no flock: apt-get install -y util-linux")
	}
	r, dir := startServer(t), t.TempDir()
	return bench{rig: r, dir: dir, t: r.target(t, dir, map[string]any{"gpus": 2})}
}

func (b bench) submit(t *testing.T, d Driver, id string, gpus int, script string) {
	t.Helper()
	j := target.Job{ID: id, Script: script, Grace: 5 * time.Second, Needs: target.Resources{GPUs: gpus}}
	if err := d.Submit(t.Context(), b.t, j, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Cancel(context.Background(), b.t, id, target.CauseCancel) })
}

func (b bench) status(t *testing.T, d Driver, id string) target.Status {
	t.Helper()
	st, err := d.Status(t.Context(), b.t, id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits until something is so of a job.
func (b bench) until(t *testing.T, d Driver, id string, so func(target.Status) bool) target.Status {
	t.Helper()
	var st target.Status
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if st = b.status(t, d, id); so(st) {
			return st
		}
	}
	t.Fatalf("job %s is %+v, log %q", id, st, b.log(t, d, id))
	return st
}

func ended(st target.Status) bool   { return st.State.Ended() }
func running(st target.Status) bool { return st.State == target.Running }

func (b bench) log(t *testing.T, d Driver, id string) string {
	t.Helper()
	var text strings.Builder
	if _, err := d.Read(t.Context(), b.t, id, target.Stream{Name: target.Log}, 0, &text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// Jobs of two state folders, which know nothing of each other, have the GPUs of a host to
// themselves, and one that wants both is not passed by for ever.
func TestGPUsAreLentInTurn(t *testing.T) {
	b, here := startBench(t), t.TempDir()
	all := []Driver{driver(t), driver(t)}
	script := `for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do mkdir '` + here + `'/$d || echo clash; done
while [ ! -e '` + here + `/go' ]; do sleep 0.05; done
echo "has $CUDA_VISIBLE_DEVICES in $CUDA_DEVICE_ORDER"; sleep 0.3
for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do rmdir '` + here + `'/$d; done`
	want := []int{1, 1, 2, 1, 1, 2, 1}
	for i, n := range want {
		b.submit(t, all[i%2], fmt.Sprintf("turn-%d", i), n, script)
	}
	b.submit(t, all[0], "none", 0, `echo "sees ${CUDA_VISIBLE_DEVICES-all}"`)
	// All are there: the first two have one each, and the others wait.
	if err := os.WriteFile(filepath.Join(here, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for i, n := range want {
		d, id := all[i%2], fmt.Sprintf("turn-%d", i)
		// The others must be looked at, too: whoever looks starts what has its turn.
		st := b.until(t, d, id, func(st target.Status) bool {
			for k := range want {
				b.status(t, all[k%2], fmt.Sprintf("turn-%d", k))
			}
			return ended(st)
		})
		got := b.log(t, d, id)
		if st.State != target.Succeeded || strings.Contains(got, "clash") || !strings.HasSuffix(got, "in PCI_BUS_ID\n") || strings.Count(got, ",") != n-1 {
			t.Errorf("job %d, of %d: %+v, log %q", i, n, st, got)
		}
		if n == 2 && st.Start.Before(last) {
			t.Errorf("job %d was passed by", i)
		}
		last = st.Start
	}
	b.until(t, all[0], "none", ended)
	if got := b.log(t, all[0], "none"); got != "sees \n" {
		t.Errorf("a job that asks for none wrote %q", got)
	}
}

// What a job had that was killed with its supervisor is free; and whoever waits goes on when
// its own process was, too.
func TestGPUsOfTheDead(t *testing.T) {
	b := startBench(t)
	d := driver(t)
	b.submit(t, d, "dies", 2, `ps -o ppid= -p $$ >pid; echo on; exec sleep 300`)
	b.until(t, d, "dies", running)
	b.submit(t, d, "waits", 1, `echo "has $CUDA_VISIBLE_DEVICES"`)
	b.submit(t, d, "given-up", 2, `echo never`)
	j := target.Job{ID: "secret", Script: `echo "has $CUDA_VISIBLE_DEVICES, $WORD"`, Needs: target.Resources{GPUs: 1}, Secrets: map[string]string{"WORD": "5esame"}}
	if err := d.Submit(t.Context(), b.t, j, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	st := b.until(t, d, "secret", func(st target.Status) bool { return st.Reason != "" })
	if st.State != target.Waiting || st.Reason != "it wants 1 GPU, and 0 of 2 free; 2 jobs before it" {
		t.Errorf("the last one is %+v", st)
	}
	if said, _ := exec.Command("grep", "-rlF", "5esame", b.dir).Output(); len(said) > 0 {
		t.Errorf("its secret is in %s", said)
	}
	if err := d.Cancel(t.Context(), b.t, "given-up", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if st := b.until(t, d, "given-up", ended); st.State != target.Cancelled || b.log(t, d, "given-up") != "" {
		t.Errorf("got %+v", st)
	}
	var pid string
	for end := time.Now().Add(20 * time.Second); pid == "" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if all, _ := filepath.Glob(filepath.Join(b.dir, "jobs", "dies", "*", "code", "pid")); len(all) == 1 {
			text, _ := os.ReadFile(all[0])
			pid = strings.TrimSpace(string(text))
		}
	}
	if err := exec.Command("kill", "-KILL", pid).Run(); err != nil {
		t.Fatal(err)
	}
	other := driver(t) // another process, which has never heard of them
	b.until(t, other, "waits", ended)
	if got := b.log(t, other, "waits"); got != "has 0\n" {
		t.Errorf("the next one wrote %q", got)
	}
	if st := b.until(t, other, "secret", func(st target.Status) bool { return st.Reason != "" }); !strings.Contains(st.Reason, "submitted again") {
		t.Errorf("without its secret it is %+v", st)
	}
	if err := other.Submit(t.Context(), b.t, j, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	b.until(t, other, "secret", ended)
	if got := b.log(t, other, "secret"); got != "has 0, 5esame\n" {
		t.Errorf("it wrote %q", got)
	}
	if st := b.until(t, d, "dies", ended); st.State != target.Lost {
		t.Errorf("the first is %+v", st)
	}
}

// A place in the queue that nobody asks for any more is forfeited, and so is a loan.
func TestGPUsOfTheForsaken(t *testing.T) {
	b := startBench(t)
	d := driver(t)
	b.submit(t, d, "first", 2, `echo on; sleep 300`)
	b.until(t, d, "first", running)
	b.submit(t, driver(t), "gone", 2, `echo never`)
	b.submit(t, d, "next", 1, `echo on`)
	if st := b.until(t, d, "next", func(st target.Status) bool { return st.Reason != "" }); !strings.Contains(st.Reason, "1 job before it") {
		t.Errorf("got %+v", st)
	}
	places, err := filepath.Glob(filepath.Join(b.dir, "gpus", "*", "queue", "*"))
	if err != nil || len(places) != 2 {
		t.Fatalf("the queue is %q", places)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(places[0], past, past); err != nil {
		t.Fatal(err)
	}
	if err := d.Cancel(t.Context(), b.t, "first", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if st := b.until(t, d, "next", ended); st.State != target.Succeeded {
		t.Errorf("got %+v", st)
	}
}
