package local

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// What decides a job of two ranks, from the ends of the ranks alone.
func TestVerdict(t *testing.T) {
	now := time.Now()
	end := func(after time.Duration, status int, stopped target.Cause) jobdir.View {
		return jobdir.View{Phase: jobdir.Ended, Status: status, Stopped: string(stopped), End: now.Add(after)}
	}
	lost := jobdir.View{Phase: jobdir.Lost, Reason: "gone", End: now}
	for name, c := range map[string]struct {
		ranks []jobdir.View
		state target.State
		cause target.Cause
		rank  int
	}{
		"both well":                      {[]jobdir.View{end(0, 0, ""), end(1, 0, "")}, target.Succeeded, "", 0},
		"the first to fail decides":      {[]jobdir.View{end(2, 3, ""), end(1, 4, "")}, target.Failed, target.CauseExit, 1},
		"a peer in the same tick":        {[]jobdir.View{end(0, 143, ranks.Peer), end(0, 4, "")}, target.Failed, target.CauseExit, 1},
		"a peer that ended well":         {[]jobdir.View{end(0, 0, ""), end(1, 137, "")}, target.Failed, target.CauseSignal, 1},
		"lost, and its peer stopped":     {[]jobdir.View{end(1, 143, ranks.Peer), lost}, target.Lost, target.CauseLost, 1},
		"cancelled":                      {[]jobdir.View{end(0, 143, target.CauseCancel), end(1, 0, target.CauseCancel)}, target.Cancelled, target.CauseCancel, 0},
		"timeout":                        {[]jobdir.View{end(1, 0, target.CauseTimeout), end(0, 143, target.CauseTimeout)}, target.Failed, target.CauseTimeout, 1},
		"failed before it was cancelled": {[]jobdir.View{end(1, 143, target.CauseCancel), end(0, 3, "")}, target.Failed, target.CauseExit, 1},
	} {
		st := verdict(record{Needs: target.Resources{Nodes: 2}}, c.ranks)
		if st.State != c.state || st.Cause != c.cause || st.Rank != c.rank || (st.Reason == "") != (c.state == target.Succeeded) {
			t.Errorf("%s: got %+v", name, st)
		}
	}
}
