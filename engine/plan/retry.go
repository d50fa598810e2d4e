package plan

import (
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

// Covers reports whether an attempt that ended with this cause and exit code is
// to be tried again. A cancelled one never is.
func (r Retry) Covers(c target.Cause, exit int) bool {
	if c == target.CauseCancel {
		return false
	}
	if len(r.On) == 0 {
		return true
	}
	for _, on := range r.On {
		if on == string(c) || on == fmt.Sprintf("exit %d", exit) && c == target.CauseExit {
			return true
		}
	}
	return false
}
