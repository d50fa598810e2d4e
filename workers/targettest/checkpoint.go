package targettest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var checkpointQuestions = []question{
	{"CheckpointsMatchCan", checkpointsMatchCan},
	{"CheckpointsAreKeptWhileItRuns", checkpointsWhileItRuns},
	{"CheckpointsGoOn", checkpointsGoOn},
	{"CheckpointsStayInside", checkpointsStayInside},
	{"CheckpointsFollowNoLink", checkpointsFollowNoLink},
	{"PreemptedJobsFail", preemptedJobsFail},
}

// checkpointer is the driver, if jobs on the target may have checkpoints.
func (h Harness) checkpointer(t *testing.T) target.Checkpointer {
	t.Helper()
	if !h.Driver.Can(h.Target).Checkpoints {
		t.Skip("SKIP: this target keeps no checkpoints: see target.Can.Checkpoints")
	}
	return h.Driver.(target.Checkpointer)
}

func checkpointsMatchCan(t *testing.T, h Harness) {
	if _, keeps := h.Driver.(target.Checkpointer); h.Driver.Can(h.Target).Checkpoints && !keeps {
		t.Error("Can says that the target keeps checkpoints, and the driver is no Checkpointer")
	}
}

func (h Harness) saving(id, script string) target.Job {
	j := h.job(id, script)
	j.Checkpoint = &target.Checkpoint{Path: "saved/here", Keep: 2}
	return j
}

// keptCheckpoint asks until the target has a checkpoint that differs from mark.
func (h Harness) keptCheckpoint(t *testing.T, c target.Checkpointer, id, mark string, b *Blobs) (target.Ref, string) {
	t.Helper()
	for end := time.Now().Add(h.patience()); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ref, now, err := c.Checkpoint(t.Context(), h.Target, id, mark, b)
		if err != nil {
			t.Fatalf("keep a checkpoint of %s: %v", id, err)
		}
		if ref != "" {
			return ref, now
		}
		if now != mark {
			t.Fatalf("nothing was kept, and the mark went from %q to %q", mark, now)
		}
	}
	t.Fatalf("no checkpoint of %s was kept: %+v, log %q", id, h.status(t, id), h.log(t, id))
	return "", ""
}

// A checkpoint of a running job is kept once it is whole, and again only when there
// is another. Of many, the newest are.
func checkpointsWhileItRuns(t *testing.T, h Harness) {
	c, b := h.checkpointer(t), &Blobs{}
	if ref, mark, err := c.Checkpoint(t.Context(), h.Target, "nobody", "", b); ref != "" || mark != "" || err != nil {
		t.Errorf("a job that nobody knows has the checkpoint %q (%q, %v)", ref, mark, err)
	}
	j := h.saving("saving", `
cd "$AMLFLOW_CHECKPOINT"
echo no > 1.tmp; echo no > .2; echo no > 3.part
echo old > a; touch -t 200101010000 a
echo one > b; touch -t 200201010000 b
mkdir c; echo two > c/file
while :; do sleep 0.05; done`)
	h.submit(t, j, b)
	ref, mark := h.keptCheckpoint(t, c, j.ID, "", b)
	for !hasFile(t, b, ref, "c/file") { // it was not settled yet
		ref, mark = h.keptCheckpoint(t, c, j.ID, mark, b)
	}
	holds(t, b, ref, map[string]string{"b": "one\n", "c/file": "two\n"})
	if again, same, err := c.Checkpoint(t.Context(), h.Target, j.ID, mark, b); again != "" || same != mark || err != nil {
		t.Errorf("nothing has changed, and it kept %q (%q, %v)", again, same, err)
	}
	h.cancel(t, j.ID)
	h.wait(t, j.ID)
	if last, _, err := c.Checkpoint(t.Context(), h.Target, j.ID, "", b); last != ref || err != nil {
		t.Errorf("after its end %q is kept, not %q: %v", last, ref, err)
	}
}

// What was kept of one job is where another begins.
func checkpointsGoOn(t *testing.T, h Harness) {
	c, b := h.checkpointer(t), &Blobs{}
	first := h.saving("first", `[ -d "$AMLFLOW_CHECKPOINT" ] || exit 9; ls -A "$AMLFLOW_CHECKPOINT"; echo 7 > "$AMLFLOW_CHECKPOINT/step"; exit 3`)
	if st := h.run(t, first, b); st.Exit != 3 {
		t.Fatalf("the first ended with %+v, log %q", st, h.log(t, first.ID))
	}
	ref, _ := h.keptCheckpoint(t, c, first.ID, "", b)
	second := h.saving("second", `cat "$AMLFLOW_CHECKPOINT/step"; echo 8 > "$AMLFLOW_CHECKPOINT/step"`)
	second.Checkpoint.From = ref
	if st := h.run(t, second, b); st.State != target.Succeeded || h.log(t, second.ID) != "7\n" {
		t.Errorf("the second ended with %+v, log %q", st, h.log(t, second.ID))
	}
	holds(t, b, ref, map[string]string{"step": "7\n"})
}

// A folder for checkpoints that is not inside of the working directory is refused.
func checkpointsStayInside(t *testing.T, h Harness) {
	h.checkpointer(t)
	for i, path := range []string{"../out", "/etc", ".", "a/../.."} {
		j := h.saving(fmt.Sprintf("outside-%d", i), "true")
		j.Checkpoint.Path = path
		if err := h.Driver.Submit(t.Context(), h.Target, j, &Blobs{}); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%q: %v", path, err)
			h.abandon(j.ID)
		}
	}
}

// A job that puts a link in place of its folder gets nothing of what is behind it kept.
func checkpointsFollowNoLink(t *testing.T, h Harness) {
	c, b := h.checkpointer(t), &Blobs{}
	j := h.saving("linked", `mkdir elsewhere; echo x > elsewhere/file; rm -r "$AMLFLOW_CHECKPOINT"; ln -s "$PWD/elsewhere" "$AMLFLOW_CHECKPOINT"; exit 3`)
	if st := h.run(t, j, b); st.Exit != 3 {
		t.Fatalf("it ended with %+v, log %q", st, h.log(t, j.ID))
	}
	if ref, _, err := c.Checkpoint(t.Context(), h.Target, j.ID, "", b); ref != "" {
		t.Errorf("it kept %s, %v", ref, err)
	}
}

// A job that is preempted may leave a checkpoint within its grace, and has failed.
func preemptedJobsFail(t *testing.T, h Harness) {
	const script = `trap '[ -z "$AMLFLOW_CHECKPOINT" ] || echo saved > "$AMLFLOW_CHECKPOINT/last"; exit 0' TERM; echo ready; while :; do sleep 0.05 || :; done`
	j, b := h.job("preempted", script), &Blobs{}
	if h.Driver.Can(h.Target).Checkpoints {
		j = h.saving("preempted", script)
	}
	h.submit(t, j, b)
	h.logHas(t, j.ID, "ready\n")
	for range 2 {
		if err := h.Driver.Cancel(t.Context(), h.Target, j.ID, target.CausePreempted); err != nil {
			t.Fatal(err)
		}
	}
	if st := h.wait(t, j.ID); st.State != target.Failed || st.Cause != target.CausePreempted || st.Reason == "" {
		t.Errorf("it ended with %+v", st)
	}
	if !h.Driver.Can(h.Target).Checkpoints {
		return
	}
	ref, _ := h.keptCheckpoint(t, h.checkpointer(t), j.ID, "", b)
	holds(t, b, ref, map[string]string{"last": "saved\n"})
}

// holds compares the files of a stored folder.
func holds(t *testing.T, b *Blobs, ref target.Ref, want map[string]string) {
	t.Helper()
	if got := files(t, b, ref); !maps.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", ref, got, want)
	}
}

func hasFile(t *testing.T, b *Blobs, ref target.Ref, path string) bool {
	t.Helper()
	_, ok := files(t, b, ref)[path]
	return ok
}

// files are the texts of a stored folder's files, by path.
func files(t *testing.T, b *Blobs, ref target.Ref) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := target.Get(t.Context(), b, ref, dir); err != nil {
		t.Fatalf("read %s: %v", ref, err)
	}
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		got[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
