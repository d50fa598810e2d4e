package workers

import (
	"context"
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

// queue hands on what a job waits for.
type queue struct {
	heard func(why string)
	since time.Time
	told  string
}

func newQueue(ctx context.Context) *queue {
	heard, _ := ctx.Value(waitingKey{}).(func(string))
	return &queue{heard: heard, since: time.Now()}
}

// look takes note of one look at the job.
func (q *queue) look(st target.Status) {
	why := ""
	if st.State == target.Waiting {
		why = st.Reason
	}
	if q.heard == nil || why == q.told || why != "" && time.Since(q.since) < patientFor {
		return
	}
	q.told = why
	q.heard(why)
}
