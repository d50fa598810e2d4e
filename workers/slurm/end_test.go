package slurm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// ward is a driver and a target on a rig, and what tests do with them.
type ward struct {
	*rig
	Driver
	t   target.Target
	dir string
}

func (r *rig) ward(t testing.TB, more map[string]any) ward {
	t.Helper()
	dir := t.TempDir()
	return ward{rig: r, Driver: New(), t: r.target(t, dir, more), dir: dir}
}

// again is a driver that knows nothing of what the other one has seen.
func (w ward) again() ward {
	w.Driver = New()
	return w
}

func (w ward) submit(t testing.TB, job target.Job) {
	t.Helper()
	if err := w.Submit(t.Context(), w.t, job, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
}

func (w ward) status(t testing.TB, id string) target.Status {
	t.Helper()
	st, err := w.Status(t.Context(), w.t, id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// ends waits for the end of a job, which must be the same for whoever looks next.
func (w ward) ends(t testing.TB, id string) target.Status {
	t.Helper()
	var st target.Status
	w.awaits(t, "end of "+id, func() bool { st = w.status(t, id); return st.State.Ended() })
	if again := w.again().status(t, id); again.State != st.State || again.Cause != st.Cause || again.Reason != st.Reason || !again.End.Equal(st.End) {
		t.Errorf("one sees %+v, the next %+v", st, again)
	}
	return st
}

func (w ward) runs(t testing.TB, id string) {
	t.Helper()
	w.awaits(t, "running "+id, func() bool { return strings.Contains(w.log(t, id), "on\n") })
}

func (w ward) log(t testing.TB, id string) string {
	t.Helper()
	var text strings.Builder
	if _, err := w.Read(t.Context(), w.t, id, target.Stream{Name: target.Log}, 0, &text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// number is that of a job in Slurm.
func (w ward) number(t testing.TB, id string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "jobs", id, "queue"))
	if err != nil {
		t.Fatal(err)
	}
	n, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return n
}

// long writes "on" and goes on until it is told to end, and then a little longer, to hear
// whether it is told again.
const long = `n=0; trap 'echo told; n=1' TERM; echo on
while [ $n -lt 10 ]; do sleep 0.05 || :; [ $n = 0 ] || n=$((n + 1)); done; exit 7`

func job(id, script string) target.Job {
	return target.Job{ID: id, Script: script, Grace: 10 * time.Second}
}

// What Slurm does to jobs has a cause of its own each.
func TestEndsThatAreSlurmsDoing(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{CPUs: 1, Nodes: 1})
	w := r.ward(t, nil)
	for _, q := range []struct {
		name  string
		job   target.Job
		then  func(number string)
		state target.State
		cause target.Cause
		words string
	}{
		{name: "cancelled", then: func(n string) { r.Ask("scancel", n) }, state: target.Cancelled, cause: target.CauseCancel, words: "cancelled in Slurm"},
		{name: "told", then: func(n string) { r.Ask("scancel", "--signal=TERM", "--batch", n) }, state: target.Failed, cause: target.CauseExit, words: "exit code 7"},
		{name: "limit", then: func(n string) { r.Ask("scontrol", "update", "job="+n, "EndTime=now") }, state: target.Failed, cause: target.CauseTimeout, words: "time limit"},
		{name: "preempted", then: func(string) { r.Ask("sbatch", "--partition=first", "--output=none", "--wrap=true") }, state: target.Failed, cause: target.CausePreempted, words: "taken its nodes away"},
		{name: "requeued", then: func(n string) { r.Ask("scontrol", "update", "job="+n, "requeue=1"); r.Ask("scontrol", "requeue", n) }, state: target.Failed, cause: target.CausePreempted, words: "Slurm has taken"},
		{name: "memory", job: target.Job{Script: `echo on; x=x; while :; do x=$x$x$x; done`, Needs: target.Resources{Memory: 64 << 20}}, state: target.Failed, cause: target.CauseOOM, words: "memory"},
	} {
		t.Run(q.name, func(t *testing.T) {
			j := q.job
			j.ID, j.Grace = q.name, 10*time.Second
			if j.Script == "" {
				j.Script = long
			}
			w.submit(t, j)
			w.runs(t, j.ID)
			if q.then != nil {
				q.then(w.number(t, j.ID))
			}
			st := w.ends(t, j.ID)
			if st.State != q.state || st.Cause != q.cause || !strings.Contains(st.Reason, q.words) {
				t.Errorf("got %+v\n%s", st, r.Ask("scontrol", "-o", "show", "job", w.number(t, j.ID)))
			}
			if got := w.log(t, j.ID); j.Script == long && strings.Count(got, "told") != 1 {
				t.Errorf("its log is %q: was it told once, and given the time?", got)
			}
			r.awaits(t, "empty queues", func() bool { return r.Ask("squeue", "-h") == "" })
		})
	}
}

// A job that Slurm has ended before it began does not wait for ever.
func TestAJobThatNeverBegins(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, map[string]any{"options": map[string]any{"hold": true}})
	w.submit(t, job("never", "true"))
	if err := os.Remove(filepath.Join(w.dir, "jobs", "never", "confided")); err != nil {
		t.Fatal(err)
	}
	r.Ask("scontrol", "release", w.number(t, "never"))
	if st := w.ends(t, "never"); st.State != target.Failed || st.Cause != target.CauseStart || !strings.Contains(st.Reason, "before it began") || w.log(t, "never") != "" {
		t.Errorf("got %+v, log %q", st, w.log(t, "never"))
	}
}

// A node that dies takes its jobs along; nobody waits for them for ever.
func TestANodeThatFails(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1, Silence: 5})
	w := r.ward(t, nil)
	w.submit(t, job("fails", `echo on; exec sleep 300`))
	w.runs(t, "fails")
	r.Kill("n1")
	r.Ask("scontrol", "update", "node=n1", "state=down", "reason=test")
	if st := w.ends(t, "fails"); st.State != target.Lost || !strings.Contains(st.Reason, "node") {
		t.Errorf("got %+v", st)
	}
}

// What Slurm has forgotten is told from the records of the node; where there is none, the
// job is lost.
func TestSlurmForgets(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1, Extra: []string{"MinJobAge=2"}})
	w := r.ward(t, nil)
	w.submit(t, job("good", "exit 5"))
	// It takes its supervisor and the batch script down with it, as a kernel would that is
	// short of memory.
	w.submit(t, job("gone", `echo on; supervisor=$(ps -o ppid= -p $$); kill -KILL $(ps -o ppid= -p $supervisor) $supervisor $$`))
	w.runs(t, "gone")
	n := w.number(t, "gone")
	r.awaits(t, "forgotten jobs", func() bool { return strings.Contains(r.Ask("scontrol", "show", "job", n), "Invalid job id") })
	if st := w.ends(t, "gone"); st.State != target.Lost || !strings.Contains(st.Reason, "knows no such job") {
		t.Errorf("got %+v", st)
	}
	if st := w.ends(t, "good"); st.Exit != 5 || st.Cause != target.CauseExit {
		t.Errorf("got %+v", st)
	}
}

// What can never run is refused for good in Slurm's words; what is only full is not.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	for _, q := range []struct {
		name  string
		more  map[string]any
		need  target.Resources
		limit time.Duration
		words string
	}{
		{name: "partition", more: map[string]any{"partition": "none"}, words: "invalid partition"},
		{name: "cpus", need: target.Resources{CPUs: 1000}, words: "more processors requested than permitted"},
		{name: "gpus", need: target.Resources{GPUs: 9}, words: "node configuration is not available"},
		{name: "nodes", need: target.Resources{Nodes: 2}, words: "node count"},
		{name: "limit", more: map[string]any{"partition": "short"}, limit: time.Hour, words: "time limit"},
		{name: "option", more: map[string]any{"options": map[string]any{"begin": "never"}}, words: "begin"},
	} {
		j := job(q.name, "true")
		j.Needs, j.Timeout = q.need, q.limit
		w := r.ward(t, q.more)
		err := w.Submit(t.Context(), w.t, j, &targettest.Blobs{})
		if !errors.Is(err, target.ErrPermanent) || !strings.Contains(strings.ToLower(err.Error()), q.words) {
			t.Errorf("%s: got %v", q.name, err)
		}
		if q.need == (target.Resources{}) && q.limit == 0 {
			if err := w.Check(t.Context(), w.t); err == nil || !strings.Contains(strings.ToLower(err.Error()), q.words) {
				t.Errorf("%s: check: %v", q.name, err)
			}
		}
	}
	w := r.ward(t, nil)
	r.Ask("scontrol", "update", "partition=all", "state=down")
	w.submit(t, job("waits", "true"))
	r.awaits(t, "reasons", func() bool { return strings.Contains(w.again().status(t, "waits").Reason, "partition to come back") })
	r.Ask("scontrol", "update", "partition=all", "state=up")
	if st := w.ends(t, "waits"); st.State != target.Succeeded {
		t.Errorf("got %+v", st)
	}
}
