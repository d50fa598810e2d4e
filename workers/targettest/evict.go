package targettest

import (
	"errors"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var evictQuestions = []question{
	{"OneRankIsEvicted", oneRankIsEvicted},
}

// A rank whose machine is taken away takes the others along, which have their grace, too.
func oneRankIsEvicted(t *testing.T, h Harness) {
	e, ok := h.Driver.(target.Evictor)
	if !ok {
		t.Skip("SKIP: this driver is no target.Evictor: a drill here takes whole jobs away")
	}
	const script = `trap 'echo told $RANK; exit 0' TERM; echo on; while :; do sleep 0.05 || :; done`
	j := h.job("evicted", script)
	if can := h.Driver.Can(h.Target); can.Nodes > 1 {
		j.Needs.Nodes = 2
	} else if can.Launch {
		j.Launch = &target.Launch{Kind: target.LaunchEnv, Processes: 2}
	} else {
		t.Skip("SKIP: jobs here have one rank")
	}
	h.submit(t, j, nil)
	for rank := range 2 {
		h.rankLogHas(t, j.ID, rank, "on\n")
	}
	for _, rank := range []int{-1, 2} {
		if err := e.Evict(t.Context(), h.Target, j.ID, rank); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "0 to 1") {
			t.Errorf("rank %d: got %v", rank, err)
		}
	}
	for range 2 {
		if err := e.Evict(t.Context(), h.Target, j.ID, 1); err != nil {
			t.Fatal(err)
		}
	}
	st := h.wait(t, j.ID)
	if st.State != target.Failed || st.Cause != target.CausePreempted || st.Rank != 1 || !strings.Contains(st.Reason, "rank 1") {
		t.Errorf("it ended with %+v", st)
	}
	for rank, want := range []string{"told 0\n", "told 1\n"} {
		if got := h.rankLog(t, j.ID, rank); strings.Count(got, want) != 1 {
			t.Errorf("rank %d wrote %q, and was to be told once", rank, got)
		}
	}
	if err := e.Evict(t.Context(), h.Target, j.ID, 0); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if again := h.status(t, j.ID); again.Rank != 1 || again.Cause != target.CausePreempted {
		t.Errorf("after its end it became %+v", again)
	}
}
