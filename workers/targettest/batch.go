package targettest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"
)

// scorer says which file it was called with, and at the sixth waits until it may go on.
const scorer = `
import os, pathlib, time

def run(mini_batch):
    for p in mini_batch:
        with open(os.environ["CALLS"], "a") as f:
            f.write(os.path.basename(p) + "\n")
    while "5.txt" in mini_batch[0] and not os.path.exists(os.environ["GO"]):
        time.sleep(0.02)
    return [pathlib.Path(p).read_text().strip().upper() for p in mini_batch]
`

// Batch asks whether a target scores in mini-batches: a job that is lost in the middle goes on
// from what it has kept, in the order of the input, with nothing scored twice; and on several
// nodes, if there are.
func Batch(t *testing.T, lend func(t *testing.T) Harness) {
	t.Run("GoesOn", func(t *testing.T) {
		h, in := lend(t), &Blobs{}
		c := h.checkpointer(t)
		j := h.scoring(t, in, "scored-1", 1, 1)
		h.submit(t, j, in)
		// Five are scored, and the sixth is under way.
		calls := j.Env["CALLS"]
		for end := time.Now().Add(h.patience()); time.Now().Before(end) && len(linesOf(calls)) < 6; time.Sleep(20 * time.Millisecond) {
			if st := h.status(t, j.ID); st.State.Ended() {
				t.Fatalf("got %+v, log %q", st, h.log(t, j.ID))
			}
		}
		h.cancel(t, j.ID)
		h.wait(t, j.ID)
		kept, _, err := c.Checkpoint(t.Context(), h.Target, j.ID, "", in)
		if err != nil || kept == "" {
			t.Fatalf("what was scored is not kept: %q, %v, log %q", kept, err, h.log(t, j.ID))
		}
		if err := os.WriteFile(j.Env["GO"], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		again := h.scoring(t, in, "scored-2", 1, 1)
		again.Env["CALLS"], again.Env["GO"], again.Checkpoint.From = calls, j.Env["GO"], kept
		h.scored(t, again, in)
		// The one that was under way is the only one that was begun twice.
		if got := strings.Join(linesOf(calls), " "); got != "0.txt 1.txt 2.txt 3.txt 4.txt 5.txt 5.txt 6.txt 7.txt" {
			t.Errorf("scored were %s, log %q", got, h.log(t, again.ID))
		}
	})
	t.Run("OnTwoNodes", func(t *testing.T) {
		h, in := lend(t), &Blobs{}
		if n := h.Driver.Can(h.Target).Nodes; n < 2 {
			t.Skipf("SKIP: the target has %d node", n)
		}
		j := h.scoring(t, in, "scored-wide", 2, 2)
		if err := os.WriteFile(j.Env["GO"], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		h.scored(t, j, in)
		got := linesOf(j.Env["CALLS"])
		slices.Sort(got)
		if strings.Join(got, " ") != "0.txt 1.txt 2.txt 3.txt 4.txt 5.txt 6.txt 7.txt" {
			t.Errorf("scored were %s", got)
		}
	})
}

// scoring is a batch over eight files, one at a time on each node.
func (h Harness) scoring(t *testing.T, in *Blobs, id string, nodes, parallel int) target.Job {
	t.Helper()
	data := map[string]string{}
	for i := range 8 {
		data[fmt.Sprintf("%d.txt", i)] = fmt.Sprintf("item %d\n", i)
	}
	j := h.job(id, "")
	j.Code = tree(t, in, map[string]string{"score.py": scorer})
	j.Inputs = []target.Artifact{{Name: batch.Input, Type: target.Folder, Ref: tree(t, in, data)}}
	j.Outputs = []target.Artifact{{Name: "predictions", Type: target.Folder}}
	j.Checkpoint = &target.Checkpoint{Path: batch.Folder, Keep: batch.Keep}
	j.Env = map[string]string{"CALLS": h.shared(t, "calls-"+id), "GO": h.shared(t, "go-"+id)}
	j.Needs.Nodes = nodes
	batch.Spec{Items: "files", Size: 1, Processes: 1, Parallel: parallel, Append: "all.csv", Score: "score.py", Output: "predictions", Folder: true}.Job(&j)
	return j
}

// scored runs a batch and wants all results in the order of the input.
func (h Harness) scored(t *testing.T, j target.Job, in *Blobs) {
	t.Helper()
	h.submit(t, j, in)
	if st := h.wait(t, j.ID); st.State != target.Succeeded {
		t.Fatalf("got %+v, log %q", st, h.log(t, j.ID))
	}
	res := h.collect(t, j.ID, in)
	all := files(t, in, res.Artifacts["predictions"])
	want := ""
	for i := range 8 {
		want += fmt.Sprintf("ITEM %d\n", i)
	}
	if got := all["all.csv"]; got != want {
		t.Errorf("results are %q, want %q", got, want)
	}
	if !strings.Contains(string(res.Metrics), `"scored": 8`) {
		t.Errorf("metrics are %s", res.Metrics)
	}
}

func linesOf(p string) []string {
	text, err := os.ReadFile(p)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}
