package targettest

import (
	"os"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var hintQuestions = []question{
	{"HintOfTheEnd", hintOfTheEnd},
	{"HintOfNothing", hintOfNothing},
}

// waiter returns the driver if it gives hints, or skips the test.
func (h Harness) waiter(t *testing.T) target.Waiter {
	t.Helper()
	w, ok := h.Driver.(target.Waiter)
	if !ok {
		t.Skip("SKIP: this driver gives no hints, and none is asked for")
	}
	return w
}

// Who takes the hint, looks and waits learns of the end without asking again. The
// job is still running when the hint is taken, as it waits for a file.
func hintOfTheEnd(t *testing.T, h Harness) {
	w := h.waiter(t)
	proceed := h.shared(t, "proceed")
	j := h.job("hint", "echo on; while [ ! -e "+word(proceed)+" ]; do sleep 0.02; done; exit 3")
	h.submit(t, j, nil)
	hint := w.Wait(h.Target, j.ID)
	if hint == nil {
		t.Fatal("there is no hint for a job that this program has started")
	}
	h.logHas(t, j.ID, "on\n")
	select {
	case <-hint:
		t.Error("the hint came while the job was running")
	default:
	}
	if err := os.WriteFile(proceed, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hint:
	case <-time.After(30 * time.Second):
		t.Fatal("the hint never came")
	}
	if st := h.wait(t, j.ID); st.Exit != 3 {
		t.Errorf("got %+v", st)
	}
}

// A job that is not known, or has ended, may have any hint but one that makes its
// follower wait.
func hintOfNothing(t *testing.T, h Harness) {
	w := h.waiter(t)
	w.Wait(h.Target, "no-such-job")
	h.succeed(t, h.job("hint-late", "true"), nil)
	for range 3 {
		hint := w.Wait(h.Target, "hint-late")
		if st := h.status(t, "hint-late"); st.State != target.Succeeded {
			t.Errorf("got %+v with the hint %v", st, hint)
		}
	}
}
