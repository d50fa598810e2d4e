package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

type waitingKey struct{}

// OnWaiting has heard called with what the target says that a job within ctx waits for,
// each time that it says something else, and with nothing once the job waits no longer.
// Who waits for a moment only is not told of.
func OnWaiting(ctx context.Context, heard func(why string)) context.Context {
	return context.WithValue(ctx, waitingKey{}, heard)
}

// patientFor is how long a job waits before anybody hears of it.
const patientFor = time.Second

// queue hands on what a job waits for, and bounds how long.
type queue struct {
	of    Submission
	heard func(why string)
	since time.Time
	why   string // it waited, at the last look
	told  string
}

func newQueue(ctx context.Context, of Submission) *queue {
	heard, _ := ctx.Value(waitingKey{}).(func(string))
	return &queue{of: of, heard: heard, since: time.Now()}
}

// look takes note of one look at the job, and reports whether it has waited for too long.
func (q *queue) look(st target.Status) (over bool) {
	q.why = ""
	if st.State == target.Waiting {
		q.why = st.Reason
		over = q.over()
	}
	if q.heard == nil || q.why == q.told || q.why != "" && time.Since(q.since) < patientFor {
		return over
	}
	q.told = q.why
	q.heard(q.why)
	return over
}

func (q *queue) over() bool { return q.of.Queue > 0 && time.Since(q.of.Begun) > q.of.Queue }

// verdict turns the end of a job that was given up, since it had waited for too long, into
// what that is: a lack of room. It follows from the job alone, since whoever has given it up
// may have died.
func (q *queue) verdict(st target.Status) target.Status {
	if st.State != target.Cancelled || !st.Start.IsZero() || !q.over() {
		return st
	}
	st.State, st.Cause = target.Failed, target.CauseCapacity
	st.Reason = fmt.Sprintf("it has waited for a place on target %q for longer than %v, which `queue_timeout` allows", q.of.Target.Name, q.of.Queue)
	if q.why != "" {
		st.Reason += ": " + q.why
	}
	return st
}
