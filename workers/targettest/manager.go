package targettest

import (
	"errors"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var managerQuestions = []question{
	{"ResizeConverges", resizeConverges},
	{"ResizeKeepsItsLimits", resizeKeepsItsLimits},
	{"BusyNodesStay", busyNodesStay},
}

// manager returns the driver if it resizes its targets, or skips the test.
func (h Harness) manager(t *testing.T) target.Manager {
	t.Helper()
	m, ok := h.Driver.(target.Manager)
	if !ok {
		t.Skip("SKIP: this driver is no target.Manager: its targets have the size that they have")
	}
	return m
}

// becomes waits until the nodes of the target are as they are wanted.
func (h Harness) becomes(t *testing.T, m target.Manager, what string, is func(target.Fleet) bool) target.Fleet {
	t.Helper()
	var f target.Fleet
	for end := time.Now().Add(h.patience()); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var err error
		if f, err = m.Nodes(t.Context(), h.Target); err != nil {
			t.Fatal(err)
		}
		if is(f) {
			return f
		}
	}
	t.Fatalf("it never came to %s: %+v", what, f)
	return f
}

func (h Harness) resize(t *testing.T, m target.Manager, nodes int) {
	t.Helper()
	for range 2 {
		if err := m.Resize(t.Context(), h.Target, nodes); err != nil {
			t.Fatalf("resize to %d: %v", nodes, err)
		}
	}
}

func resizeConverges(t *testing.T, h Harness) {
	m := h.manager(t)
	most := h.Driver.Can(h.Target).Nodes
	h.resize(t, m, most)
	f := h.becomes(t, m, "its most nodes", func(f target.Fleet) bool { return f.Ready == most })
	if f.Max != most || f.Busy != 0 || f.NodeHours <= 0 || f.Grew.Nodes < 1 || f.Grew.Why == "" {
		t.Errorf("got %+v", f)
	}
	h.resize(t, m, f.Min)
	f = h.becomes(t, m, "its fewest nodes", func(f target.Fleet) bool { return f.Ready+f.Creating+f.Leaving == f.Min })
	if f.Min < most && f.Shrank.Why == "" {
		t.Errorf("got %+v", f)
	}
}

func resizeKeepsItsLimits(t *testing.T, h Harness) {
	m := h.manager(t)
	for _, nodes := range []int{-1, h.Driver.Can(h.Target).Nodes + 1} {
		if err := m.Resize(t.Context(), h.Target, nodes); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("resize to %d: got %v, want a permanent error", nodes, err)
		}
	}
}

// A node with a job stays until the job has ended, whatever size was asked for.
func busyNodesStay(t *testing.T, h Harness) {
	m := h.manager(t)
	j := h.job("busy", "echo on; sleep 300")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	f := h.becomes(t, m, "one busy node", func(f target.Fleet) bool { return f.Busy == 1 })
	h.resize(t, m, f.Min)
	if f = h.becomes(t, m, "one busy node", func(f target.Fleet) bool { return f.Busy == 1 }); h.status(t, j.ID).State != target.Running {
		t.Errorf("the job does not run any more: %+v, %+v", h.status(t, j.ID), f)
	}
	h.cancel(t, j.ID)
	h.wait(t, j.ID)
	h.becomes(t, m, "its fewest nodes", func(f target.Fleet) bool { return f.Ready+f.Creating+f.Leaving == f.Min })
}
