package local

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// What the node grants is shared: neither rank gets all of it.
func TestOneRankCannotTakeAllOfItsNode(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: there is no python3 to use up memory with: apt-get install python3")
	}
	d := driver(t)
	j := target.Job{ID: "job", Host: host(), Script: `[ $RANK = 1 ] || python3 -c 'b = b"x" * (110 << 20)'`, Needs: target.Resources{Memory: 128 << 20}, Launch: &target.Launch{Kind: target.LaunchEnv, Processes: 2}}
	if err := d.Submit(t.Context(), local(""), j, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	if notes := d.notesNow(t); len(notes) > 0 {
		t.Skipf("SKIP: %v", notes)
	}
	if st := wait(t, d); st.Cause != target.CauseOOM || st.Rank != 0 || !strings.Contains(st.Reason, "the limit is 64Mi") {
		t.Errorf("got %+v", st)
	}
}
