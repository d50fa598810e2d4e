package flow

import (
	"testing"
	"time"
)

// A worker that was killed has begun a job of which nothing is on record: the stage is as
// old as the job, and not as what found it.
func TestAStageIsAsOldAsItsJob(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	before, after := noon.Add(-time.Minute), noon.Add(time.Minute)
	for name, tc := range map[string]struct{ started, begun, job, wantStarted, wantBegun time.Time }{
		"as it goes":        {noon, noon, after, noon, noon},
		"begun before":      {noon, noon, before, before, before},
		"of a later try":    {before, after, noon, before, noon},
		"it never began":    {noon, noon, time.Time{}, noon, noon},
		"of an unknown age": {time.Time{}, time.Time{}, noon, time.Time{}, time.Time{}},
	} {
		p := StageProgress{Started: tc.started, Begun: tc.begun}
		if p.since(tc.job); p.Started != tc.wantStarted || p.Begun != tc.wantBegun {
			t.Errorf("%s: started %v, begun %v; want %v and %v", name, p.Started, p.Begun, tc.wantStarted, tc.wantBegun)
		}
	}
}
