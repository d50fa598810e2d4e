package plan

import (
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

// The causes of a deployment that was given up though it was ready. They are verdicts,
// and trying again would not change them.
const (
	CauseCheck      target.Cause = "check"      // it was not good enough
	CauseSuperseded target.Cause = "superseded" // somebody else moved the requests
)

// Covers reports whether an attempt that ended with this cause and exit code is
// to be tried again. A cancelled one never is, nor one that was not good enough.
func (r Retry) Covers(c target.Cause, exit int) bool {
	if c == target.CauseCancel || c == CauseCheck || c == CauseSuperseded {
		return false
	}
	if len(r.On) == 0 {
		return true
	}
	for _, on := range r.On {
		if on == string(c) || on == exitName(c, exit) {
			return true
		}
	}
	return false
}

// Budget is the name of the budget that an attempt with this cause and exit code is
// paid from, and how many attempts it is worth; the name is empty when it is none of
// them, and the attempt counts like any other.
func (r Retry) Budget(c target.Cause, exit int) (name string, attempts int) {
	for _, name := range []string{exitName(c, exit), string(c)} { // an exit code says more than that there was one
		if n := r.Budgets[name]; n > 0 {
			return name, n
		}
	}
	return "", 0
}

func exitName(c target.Cause, exit int) string {
	if c != target.CauseExit {
		return ""
	}
	return fmt.Sprintf("exit %d", exit)
}
