package docker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A checkpoint that is written over in its place is kept again, though its folder was not
// written to; what is changed deep inside of one is kept once the job has ended.
func TestCheckpointsAreWrittenOver(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		shared := t.TempDir()
		x := newTable(t, r, map[string]any{"volumes": []string{shared + ":/shared"}})
		out := &targettest.Blobs{}
		x.submit(target.Job{ID: "saves", Checkpoint: &target.Checkpoint{Path: "saved", Keep: 2}, Script: `
cd "$AMLFLOW_CHECKPOINT"
mkdir deep deep/er; echo one > last; echo one > deep/er/file
while [ ! -e /shared/go ]; do sleep 0.05; done
echo two > last; echo two > deep/er/file
while [ ! -e /shared/end ]; do sleep 0.05; done`}, out)
		both := func(word string) map[string]string {
			return map[string]string{"last": word + "\n", "deep/er/file": word + "\n"}
		}
		first, mark := x.saved("saves", "", out, both("one"))
		if ref, same, err := x.d.Checkpoint(t.Context(), x.t, "saves", mark, out); ref != "" || same != mark || err != nil {
			t.Errorf("nothing is new, and it kept %q (%q, %v)", ref, same, err)
		}
		let := func(name string) {
			if err := os.WriteFile(filepath.Join(shared, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		let("go")
		second, _ := x.saved("saves", mark, out, both("two"))
		if first == second {
			t.Errorf("%s was kept twice", first)
		}
		let("end")
		if st := x.wait("saves"); st.State != target.Succeeded {
			t.Errorf("got %+v, log %q", st, x.log("saves"))
		}
		x.saved("saves", "", out, both("two"))
	})
}

// saved asks until a checkpoint is kept that holds these files.
func (x table) saved(id, mark string, out *targettest.Blobs, want map[string]string) (target.Ref, string) {
	x.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ref, now, err := x.d.Checkpoint(x.Context(), x.t, id, mark, out)
		if err != nil {
			x.Fatal(err)
		}
		if mark = now; ref != "" && x.holds(out, ref, want) {
			return ref, mark
		}
	}
	x.Fatalf("%v was never kept", want)
	return "", ""
}

func (x table) holds(out *targettest.Blobs, ref target.Ref, want map[string]string) bool {
	x.Helper()
	files, err := target.ListTree(x.Context(), out, ref)
	if err != nil {
		x.Fatal(err)
	}
	for _, f := range files {
		if out.Text(f.Ref) != want[f.Path] {
			return false
		}
	}
	return len(files) == len(want)
}
