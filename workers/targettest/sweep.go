package targettest

import (
	"slices"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var sweepQuestions = []question{
	{"KeepsWhatFailed", keepsWhatFailed},
	{"SweepSparesWhatRuns", sweepSparesWhatRuns},
	{"SweepSparesWhatIsUsed", sweepSparesWhatIsUsed},
}

// sweeper is the driver, if it is one that can be swept.
func (h Harness) sweeper(t *testing.T) target.Sweeper {
	t.Helper()
	s, ok := h.Driver.(target.Sweeper)
	if !ok {
		t.Skip("SKIP: this driver is no target.Sweeper: what it keeps is its own affair")
	}
	return s
}

// kept returns what the target keeps under a name.
func kept(t *testing.T, h Harness, s target.Sweeper, what target.What, name string) (target.Kept, bool) {
	t.Helper()
	all, err := s.Kept(t.Context(), h.Target)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k target.Kept) bool { return k.What == what && k.Name == name })
	if i < 0 {
		return target.Kept{}, false
	}
	return all[i], true
}

func sweep(t *testing.T, h Harness, s target.Sweeper, k target.Kept, before time.Time) bool {
	t.Helper()
	gone, err := s.Sweep(t.Context(), h.Target, k, before)
	if err != nil {
		t.Fatalf("sweep %s %s: %v", k.What, k.Name, err)
	}
	return gone
}

// What a job left is listed until it is swept; then it is lost, and sweeping it again
// is no error. It never starts again before the mark of that is swept, too.
func keepsWhatFailed(t *testing.T, h Harness) {
	s, later := h.sweeper(t), time.Now().Add(time.Hour)
	j := h.job("failed", "echo words; exit 3")
	h.run(t, j, nil)
	k, ok := kept(t, h, s, target.KeptJob, "failed")
	if !ok || k.Bytes <= 0 || time.Since(k.Used) > time.Hour {
		t.Fatalf("it is kept: %v, %+v", ok, k)
	}
	for range 2 {
		sweep(t, h, s, k, later)
		if st := h.status(t, "failed"); st.State != target.Lost {
			t.Errorf("after it was swept: %+v", st)
		}
	}
	h.submit(t, j, nil)
	if st := h.status(t, "failed"); st.State != target.Lost {
		t.Errorf("it started again: %+v", st)
	}
	mark, ok := kept(t, h, s, target.KeptMark, "failed")
	if !ok {
		return
	}
	if sweep(t, h, s, mark, time.Now().Add(-time.Hour)) {
		t.Error("a mark was swept that is newer than asked for")
	}
	if !sweep(t, h, s, mark, later) {
		t.Error("an old mark was not swept")
	}
}

func sweepSparesWhatRuns(t *testing.T, h Harness) {
	s := h.sweeper(t)
	h.submit(t, h.job("runs", "sleep 300"), nil)
	for end := time.Now().Add(30 * time.Second); h.status(t, "runs").State != target.Running; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not run")
		}
	}
	k, ok := kept(t, h, s, target.KeptJob, "runs")
	if !ok || sweep(t, h, s, k, time.Now().Add(time.Hour)) {
		t.Errorf("kept: %v; a running job was swept", ok)
	}
	if st := h.status(t, "runs"); st.State != target.Running {
		t.Errorf("got %+v", st)
	}
	h.cancel(t, "runs")
	h.wait(t, "runs")
}

// Software stays as long as a job that is kept uses it, or when it was used lately.
func sweepSparesWhatIsUsed(t *testing.T, h Harness) {
	s, later := h.sweeper(t), time.Now().Add(time.Hour)
	if !h.Driver.Can(h.Target).Python {
		t.Skip("SKIP: this target makes no environments")
	}
	j := h.job("user", "true")
	j.Environment = &target.Environment{Python: &target.Python{}}
	h.succeed(t, j, nil)
	all, err := s.Kept(t.Context(), h.Target)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k target.Kept) bool {
		return k.What == target.KeptEnvironment && slices.Contains(k.Users, "user")
	})
	if i < 0 {
		t.Fatalf("nothing says that the job uses an environment: %+v", all)
	}
	env := all[i]
	if sweep(t, h, s, env, later) {
		t.Error("an environment was swept that a job uses")
	}
	job, _ := kept(t, h, s, target.KeptJob, "user")
	sweep(t, h, s, job, later)
	if sweep(t, h, s, env, time.Now().Add(-time.Hour)) {
		t.Error("an environment was swept that was used lately")
	}
	if !sweep(t, h, s, env, later) {
		t.Error("an environment that nothing uses was not swept")
	}
	j.ID = "next"
	h.succeed(t, j, nil) // it is made again
}
