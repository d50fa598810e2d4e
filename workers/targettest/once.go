package targettest

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var onceQuestions = []question{
	{"SubmitTwiceRunsOnce", submitTwiceRunsOnce},
	{"SubmitAtOnceRunsOnce", submitAtOnceRunsOnce},
	{"SubmitAgainKeepsTheFirst", submitAgainKeepsTheFirst},
	{"SubmitFromSeveralProgramsRunsOnce", submitFromSeveralProgramsRunsOnce},
}

// counting is a job that notes each of its starts in a file outside itself.
func (h Harness) counting(t *testing.T, id string) (target.Job, func() int) {
	t.Helper()
	path := h.shared(t, id+".starts")
	return h.job(id, "echo x >>"+word(path)+"; echo once; exit 7"), func() int {
		text, _ := os.ReadFile(path)
		return strings.Count(string(text), "x")
	}
}

func submitTwiceRunsOnce(t *testing.T, h Harness) {
	j, starts := h.counting(t, "twice")
	h.submit(t, j, nil)
	h.submit(t, j, nil)
	h.wait(t, j.ID)
	h.submit(t, j, nil)
	if st := h.wait(t, j.ID); st.Exit != 7 || starts() != 1 || h.log(t, j.ID) != "once\n" {
		t.Errorf("%d starts, %+v, log %q", starts(), st, h.log(t, j.ID))
	}
}

func submitAtOnceRunsOnce(t *testing.T, h Harness) {
	j, starts := h.counting(t, "at-once")
	in := &Blobs{}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, err := target.PutTree(t.Context(), in, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	j.Code = code
	t.Cleanup(func() { h.abandon(j.ID) })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := h.Driver.Submit(t.Context(), h.Target, j, in); err != nil {
				t.Errorf("submit: %v", err)
			}
			// Certain to run or to have run: whoever has submitted sees it.
			if st, err := h.Driver.Status(t.Context(), h.Target, j.ID); err != nil || st.State == target.Lost {
				t.Errorf("after submit: %+v, %v", st, err)
			}
		})
	}
	all.Wait()
	if st := h.wait(t, j.ID); st.Exit != 7 || starts() != 1 {
		t.Errorf("%d starts, %+v, log %q", starts(), st, h.log(t, j.ID))
	}
}

func submitAgainKeepsTheFirst(t *testing.T, h Harness) {
	h.succeed(t, h.job("again", "echo first"), nil)
	h.submit(t, h.job("again", "echo second; exit 1"), nil)
	if st := h.wait(t, "again"); st.State != target.Succeeded || h.log(t, "again") != "first\n" {
		t.Errorf("got %+v, log %q", st, h.log(t, "again"))
	}
}

// Programs that know nothing of each other submit the same, look at it and see the same
// end.
func submitFromSeveralProgramsRunsOnce(t *testing.T, h Harness) {
	j, starts := h.counting(t, "programs")
	drivers := []target.Driver{h.Driver, h.Driver, h.Driver}
	for i := range drivers[1:] {
		if h.Other != nil {
			drivers[i+1] = h.Other(t)
		}
	}
	t.Cleanup(func() { h.abandon(j.ID) })
	var all sync.WaitGroup
	for _, d := range drivers {
		all.Go(func() {
			if err := d.Submit(t.Context(), h.Target, j, &Blobs{}); err != nil {
				t.Errorf("submit: %v", err)
			}
		})
	}
	all.Wait()
	end := h.wait(t, j.ID)
	for _, d := range drivers {
		st, err := d.Status(t.Context(), h.Target, j.ID)
		if err != nil || st.Exit != 7 || !st.End.Equal(end.End) {
			t.Errorf("one sees %+v, %v, another %+v", st, err, end)
		}
	}
	if starts() != 1 {
		t.Errorf("%d starts", starts())
	}
}
