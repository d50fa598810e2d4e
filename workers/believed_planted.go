//go:build planted

package workers

import (
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// born is when this worker began.
var born = time.Now()

// believed is the bug that is planted to prove that the fault harness finds one: a
// worker takes a job for a success that began before the worker did. No run shows
// it, unless a server dies while a job runs that will fail.
func believed(st target.Status) target.Status {
	if st.State == target.Failed && st.Start.Before(born) {
		st.State, st.Cause, st.Reason = target.Succeeded, "", ""
	}
	return st
}
