package slurm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// items submits jobs of one stage at once, and returns their ids. script is told which is which.
func (w ward) items(t testing.TB, n int, script func(i int) string) []string {
	t.Helper()
	ids := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		ids[i] = fmt.Sprintf("run.fan.%d-1", i+1)
		all.Go(func() {
			if err := w.Submit(t.Context(), w.t, job(ids[i], script(i)), &targettest.Blobs{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return ids
}

// jobsOfSlurm are the numbers of what Slurm has, an array being one.
func (r *rig) jobsOfSlurm() []string {
	var all []string
	for _, n := range strings.Fields(r.Ask("squeue", "--states=all", "-h", "-o", "%F")) {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// Jobs that are submitted at once and ask for the same are one array, in which each has an
// end of its own, and is cancelled alone. One that comes alone waits for nobody.
func TestAFanOutIsAnArray(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{CPUs: 2})
	w := r.ward(t, nil)
	stay := filepath.Join(t.TempDir(), "stay")
	if err := os.WriteFile(stay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ids := w.items(t, 12, func(i int) string {
		return fmt.Sprintf("echo on; echo item %d; while [ -e '%s' ]; do sleep 0.05; done; exit %d", i, stay, i)
	})
	if got := r.jobsOfSlurm(); len(got) != 1 {
		t.Errorf("twelve items are the jobs %q of Slurm", got)
	}
	r.awaits(t, "items that run", func() bool { return w.status(t, ids[0]).State == target.Running })
	if name := r.Ask("squeue", "-h", "-o", "%j"); !strings.HasPrefix(name, "run.fan.") {
		t.Errorf("people see it under the name %q", name)
	}
	// Two nodes of two processors have four at once.
	r.awaits(t, "reasons", func() bool { return strings.Contains(w.again().status(t, ids[11]).Reason, "waits in Slurm") })
	for _, i := range []int{0, 11} { // one that runs, and one that waits
		if err := w.Cancel(t.Context(), w.t, ids[i], target.CauseCancel); err != nil {
			t.Fatal(err)
		}
		if st := w.ends(t, ids[i]); st.State != target.Cancelled {
			t.Errorf("item %d: got %+v", i, st)
		}
	}
	if waits := strings.Fields(r.Ask("squeue", "--array", "-h", "-o", "%i")); slices.Contains(waits, w.number(t, ids[11])) || !slices.Contains(waits, w.number(t, ids[10])) {
		t.Errorf("of the items Slurm still has %q", waits)
	}
	if err := os.Remove(stay); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if i == 0 || i == 11 {
			continue
		}
		if st := w.ends(t, id); st.Exit != i || !strings.Contains(w.log(t, id), fmt.Sprintf("item %d\n", i)) {
			t.Errorf("item %d: got %+v, log %q", i, st, w.log(t, id))
		}
	}
	begin := time.Now()
	w.submit(t, job("run.fan.3-2", "exit 0")) // an item that is tried again
	if st := w.ends(t, "run.fan.3-2"); st.State != target.Succeeded {
		t.Errorf("the second attempt: %+v, after %v", st, time.Since(begin))
	}
	if n := w.number(t, "run.fan.3-2"); strings.Contains(n, "_") {
		t.Errorf("one that comes alone is %q", n)
	}
}

// A submission of many that dies between Slurm's answer and its record is found by the next
// one: Slurm has each once, and each starts once.
func TestACrashBetweenAnArrayAndItsRecords(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{})
	w := r.ward(t, nil)
	starts := filepath.Join(t.TempDir(), "starts")
	script := func(i int) string { return fmt.Sprintf("echo %d >>'%s'; sleep 1; exit %d", i, starts, i) }
	dying := w
	// The client does its work, and takes the tool with it, all of its shells.
	dying.t = r.target(t, w.dir, withClients(t, "sbatch", `real "$@"; p=$PPID all=
while all="$all $p"; p=$(($(ps -o ppid= -p $p))); grep -q muster /proc/$p/cmdline; do :; done
kill -KILL $all`))
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if err := dying.Submit(t.Context(), dying.t, job(fmt.Sprintf("run.fan.%d-1", i+1), script(i)), &targettest.Blobs{}); err == nil {
				t.Error("the submission was to die, and did not")
			}
		})
	}
	all.Wait()
	if got, _ := filepath.Glob(filepath.Join(w.dir, "jobs", "*", "queue")); len(got) > 0 {
		t.Fatalf("there are the records %q, so that nothing is tested", got)
	}
	before := r.jobsOfSlurm()
	ids := w.items(t, 6, script)
	for i, id := range ids {
		if st := w.ends(t, id); st.Exit != i {
			t.Errorf("item %d: got %+v", i, st)
		}
	}
	if after := r.jobsOfSlurm(); !slices.Equal(before, after) {
		t.Errorf("Slurm had %q, and has %q", before, after)
	}
	text, err := os.ReadFile(starts)
	lines := strings.Fields(string(text))
	slices.Sort(lines)
	if err != nil || !slices.Equal(lines, []string{"0", "1", "2", "3", "4", "5"}) {
		t.Errorf("started were %q (%v)", lines, err)
	}
}

// Where arrays are refused, or smaller, the items go in another way.
func TestArraysThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, q := range []struct {
		name, extra string
		jobs        int
	}{{"none", "MaxArraySize=0", 5}, {"small", "MaxArraySize=2", 3}} {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			r := startSlurm(t, rigs.SlurmOptions{Nodes: 1, Extra: []string{q.extra}})
			w := r.ward(t, nil)
			for i, id := range w.items(t, 5, func(i int) string { return fmt.Sprintf("sleep 2; exit %d", i) }) {
				if st := w.ends(t, id); st.Exit != i {
					t.Errorf("item %d: got %+v", i, st)
				}
			}
			if got := r.jobsOfSlurm(); len(got) != q.jobs {
				t.Errorf("five items are the jobs %q of Slurm, want %d", got, q.jobs)
			}
		})
	}
}

// What the cluster refuses of an array is told of each item, in Slurm's words.
func TestItemsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := startSlurm(t, rigs.SlurmOptions{Nodes: 1})
	w := r.ward(t, nil)
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			j := job(fmt.Sprintf("run.fan.%d-1", i+1), "true")
			j.Needs.CPUs = 1000
			errs[i] = w.Submit(t.Context(), w.t, j, &targettest.Blobs{})
		})
	}
	all.Wait()
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "More processors requested than permitted") || !strings.Contains(err.Error(), fmt.Sprintf("run.fan.%d-1", i+1)) {
			t.Errorf("item %d: got %v", i, err)
		}
	}
}
