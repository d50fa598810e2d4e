package ranks_test

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/target"
)

// A driver that asks for the verdict of every look must not take a job that runs for one
// that has succeeded.
func TestVerdictOfWhatHasNotEnded(t *testing.T) {
	begun := time.Unix(100, 0)
	runs, failed := jobdir.View{Phase: jobdir.Running, Start: begun}, jobdir.View{Phase: jobdir.Ended, Status: 3, Start: begun, End: begun}
	for name, c := range map[string]struct {
		views []jobdir.View
		want  target.State
	}{
		"new":                    {[]jobdir.View{{Phase: jobdir.New}}, target.Waiting},
		"one of two has started": {[]jobdir.View{{Phase: jobdir.New}, runs}, target.Running},
		"one is being stopped":   {[]jobdir.View{failed, runs}, target.Running},
		"all have ended":         {[]jobdir.View{failed, failed}, target.Failed},
	} {
		got := ranks.Verdict(ranks.Facts{Nodes: len(c.views)}, c.views)
		if got.State != c.want || got.State == target.Running && (got.Cause != "" || !got.Start.Equal(begun)) {
			t.Errorf("%s: got %+v, want %s", name, got, c.want)
		}
	}
}
