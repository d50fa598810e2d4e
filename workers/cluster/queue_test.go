package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Three jobs for two nodes: the third says what it waits for, and starts when one ends.
func TestJobsWaitForNodes(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}}`)
	for _, id := range []string{"one", "two", "three"} {
		r.submit(r.job(id, forever, 1))
	}
	r.until("one", target.Running)
	r.until("two", target.Running)
	if st := r.status("three"); st.State != target.Waiting || st.Reason != "waiting for 1 of at most 2 nodes, of which 2 are busy" {
		t.Errorf("got %+v", st)
	}
	if f := r.fleet(); f.Ready != 2 || f.Busy != 2 || f.Queued != 1 || !strings.HasPrefix(f.Grew.Why, "job two waits for 1 node") {
		t.Errorf("got %+v", f)
	}
	r.cancel("one", target.CauseCancel)
	r.until("three", target.Running)
}

// Several nodes come all or none, and a small job does not overtake.
func TestSeveralNodesAllOrNone(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}}`)
	r.submit(r.job("one", forever, 1))
	r.until("one", target.Running)
	r.submit(r.job("pair", "echo $RANK/$WORLD_SIZE", 2))
	r.submit(r.job("small", "true", 1))
	if st := r.status("small"); st.State != target.Waiting || !strings.Contains(st.Reason, "jobs before it: 1") {
		t.Errorf("got %+v", st)
	}
	if st := r.status("pair"); st.State != target.Waiting {
		t.Errorf("got %+v", st)
	}
	r.cancel("one", target.CauseCancel)
	pair, small := r.until("pair", target.Succeeded), r.until("small", target.Succeeded)
	if small.Start.Before(pair.End) {
		t.Errorf("the small one started at %v, and the pair ended at %v", small.Start, pair.End)
	}
}

// A job with a higher priority goes first, though it came later.
func TestPriorityGoesFirst(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 1}}`)
	r.submit(r.job("one", forever, 1))
	r.submit(r.job("ordinary", "true", 1))
	urgent := r.job("urgent", "true", 1)
	urgent.Priority = 1
	r.submit(urgent)
	r.cancel("one", target.CauseCancel)
	ordinary, first := r.until("ordinary", target.Succeeded), r.until("urgent", target.Succeeded)
	if ordinary.Start.Before(first.End) {
		t.Errorf("the ordinary one started at %v, and the urgent one ended at %v", ordinary.Start, first.End)
	}
}

func TestACancelledJobLeavesTheQueue(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 1}}`)
	r.submit(r.job("one", forever, 1))
	r.submit(r.job("two", "true", 1))
	r.submit(r.job("three", "true", 1))
	r.cancel("two", target.CauseCancel)
	if st := r.status("two"); st.State != target.Cancelled || st.Start != (time.Time{}) {
		t.Errorf("got %+v", st)
	}
	if f := r.fleet(); f.Queued != 1 {
		t.Errorf("got %+v", f)
	}
	if err := r.d.Clean(t.Context(), r.to, "three"); err != nil {
		t.Fatal(err)
	}
	if f := r.fleet(); f.Queued != 0 || r.status("three").State != target.Lost {
		t.Errorf("got %+v, %+v", f, r.status("three"))
	}
}

// Nodes that nobody needs go though nobody asks, down to the fewest, which come back when
// they are taken away.
func TestTheSizeConvergesByItself(t *testing.T) {
	r := newRig(t, `{"nodes": {"min": 1, "max": 3, "idle": "50ms"}}`)
	for _, id := range []string{"one", "two", "three"} {
		r.submit(r.job(id, "true", 1))
	}
	fewest := func(f target.Fleet) bool { return f.Ready == 1 && f.Busy+f.Creating+f.Leaving+f.Queued == 0 }
	r.becomes("its fewest nodes", fewest)
	for _, id := range r.ids {
		r.until(id, target.Succeeded)
	}
	nodes, err := os.ReadDir(r.d.place(r.to.Name).nodes())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("there are the nodes %v, %v", nodes, err)
	}
	gone := filepath.Join(r.d.place(r.to.Name).nodes(), nodes[0].Name())
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.d.place(r.to.Name).nodes(), "stray"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.becomes("another node in place of that which was taken away", func(f target.Fleet) bool { return fewest(f) && strings.Contains(f.Grew.Why, "at least 1") })
	if nodes, err = os.ReadDir(r.d.place(r.to.Name).nodes()); err != nil || len(nodes) != 1 || nodes[0].Name() == filepath.Base(gone) || nodes[0].Name() == "stray" {
		t.Errorf("there are the nodes %v, %v", nodes, err)
	}
}

// The job on a node that is taken away is preempted; so is a job that a drill takes the
// nodes from, and these leave.
func TestNodesAreTakenAway(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}}`)
	r.submit(r.job("pair", forever, 2))
	r.until("pair", target.Running)
	if err := os.Remove(filepath.Join(r.d.place(r.to.Name).nodes(), "n2")); err != nil {
		t.Fatal(err)
	}
	r.becomes("one free node", func(f target.Fleet) bool { return f.Ready == 1 && f.Busy == 0 })
	if st := r.until("pair", target.Failed); st.Cause != target.CausePreempted {
		t.Errorf("got %+v", st)
	}
	r.submit(r.job("drilled", forever, 1))
	r.until("drilled", target.Running)
	r.cancel("drilled", target.CausePreempted)
	if st := r.until("drilled", target.Failed); st.Cause != target.CausePreempted {
		t.Errorf("got %+v", st)
	}
	if f := r.fleet(); f.Ready+f.Leaving != 0 || f.Shrank.Why != "the nodes of job drilled were taken away" {
		t.Errorf("got %+v", f)
	}
}

// A job with secrets waits for a process that has them, and holds up nobody: for the one
// that it was submitted to, or another to which it is submitted again.
func TestSecretsAreWithWhoeverSubmitted(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 1}}`)
	r.submit(r.job("one", forever, 1))
	for _, id := range []string{"kept", "again"} {
		j := r.job(id, `[ "$X_TOKEN" = hidden ]`, 1)
		j.Secrets = map[string]string{"X_TOKEN": "hidden"}
		r.submit(j)
	}
	first := r.d
	r.d = New(r.d.dir, nil) // another process
	r.submit(r.job("two", "true", 1))
	if st := r.status("again"); !strings.Contains(st.Reason, "submitted again") {
		t.Errorf("got %+v", st)
	}
	r.cancel("one", target.CauseCancel)
	r.until("two", target.Succeeded)
	again := r.job("again", `[ "$X_TOKEN" = hidden ]`, 1)
	again.Secrets = map[string]string{"X_TOKEN": "hidden"}
	r.submit(again)
	r.until("again", target.Succeeded)
	if st := r.status("kept"); st.State != target.Waiting {
		t.Errorf("got %+v", st)
	}
	r.d = first
	r.until("kept", target.Succeeded)
}

// A smaller cluster lets jobs end, and says of those that have become too large what to do.
func TestSettingsMayChange(t *testing.T) {
	r := newRig(t, `{"nodes": {"max": 2}}`)
	r.submit(r.job("one", forever, 1))
	r.submit(r.job("pair", "true", 2))
	r.to = training(`{"nodes": {"max": 1}}`)
	r.submit(r.job("small", "true", 1))
	if st := r.status("pair"); !strings.Contains(st.Reason, "raise `nodes.max`") {
		t.Errorf("got %+v", st)
	}
	r.cancel("one", target.CauseCancel)
	r.until("small", target.Succeeded)
	r.to = training(`{"nodes": {"max": 2}}`)
	if f := r.fleet(); f.Max != 2 {
		t.Errorf("got %+v", f)
	}
	r.until("pair", target.Succeeded)
}

// Nodes of low priority are given back while memory is short, and only those.
func TestLowPriorityNodesAreGivenBack(t *testing.T) {
	for priority, end := range map[string]target.State{"low": target.Failed, "dedicated": target.Running} {
		t.Run(priority, func(t *testing.T) {
			r := newRig(t, `{"nodes": {"max": 2}, "priority": "`+priority+`"}`)
			free := 0.5
			r.d.shares = shares{free: func() float64 { return free }}
			r.submit(r.job("one", forever, 1))
			r.until("one", target.Running)
			free = 0.04
			r.submit(r.job("two", "true", 1))
			if st := r.until("one", end); end == target.Running {
				r.until("two", target.Succeeded)
				return
			} else if st.Cause != target.CausePreempted {
				t.Errorf("got %+v", st)
			}
			if st := r.status("two"); st.State != target.Waiting || !strings.Contains(st.Reason, "short of memory: 4 %") {
				t.Errorf("got %+v", st)
			}
			free = 0.1 // not enough yet
			r.fleet()
			if st := r.status("two"); st.State != target.Waiting {
				t.Errorf("got %+v", st)
			}
			free = 0.5
			r.until("two", target.Succeeded)
		})
	}
}

// This computer can be asked.
func TestFreeMemory(t *testing.T) {
	if free := freeMemory(); free <= 0 || free > 1 {
		t.Errorf("%v of the memory is available", free)
	}
}
