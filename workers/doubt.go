package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Doubt is what is known of an attempt whose target may be out of reach: whether the job
// has begun there. A job that may be running is not given up, for another would be
// started beside it.
type Doubt struct {
	// Maybe says that the job may have begun.
	Maybe bool
	// Seen is when the job was last seen running; zero when it was not. Before that it may
	// wait on its target for any time.
	Seen time.Time

	known bool // it was handed over
}

type doubtKey struct{}

// WithDoubt is ctx for all the tries of one attempt, which share d.
func WithDoubt(ctx context.Context, d *Doubt) context.Context {
	return context.WithValue(ctx, doubtKey{}, d)
}

// doubtOf returns what is known of the attempt that ctx belongs to. Where nobody says,
// this is the first try.
func doubtOf(ctx context.Context) *Doubt {
	if d, ok := ctx.Value(doubtKey{}).(*Doubt); ok {
		return d
	}
	return &Doubt{}
}

// heed learns from a submission that failed.
func (d *Doubt) heed(err error) {
	if errors.Is(err, target.ErrUnreachable) && !errors.Is(err, target.ErrUntouched) {
		d.Maybe = true
	}
}

// saw notes how the job is.
func (d *Doubt) saw(st target.Status) {
	if d.Seen = time.Now(); st.State != target.Running {
		d.Seen = time.Time{}
	}
}

// holds reports whether err leaves it open how the job is, which may be running.
func (d *Doubt) holds(err error) bool {
	return d.known && Final(err) || d.Maybe && errors.Is(err, target.ErrUnreachable)
}

// late is how long after its timeout a job is taken for lost that was seen running and
// could not be reached since. The target itself has stopped it by then.
const late = time.Minute

// unheard is what becomes of a job whose target did not answer: nothing, for as long as it
// may be running. Only its own timeout bounds that, once it has been seen running.
func (d *Doubt) unheard(s Submission, err error) (Outcome, error) {
	limit := s.Job.Timeout + s.Job.Grace + late
	if s.Job.Timeout > 0 && !d.Seen.IsZero() && time.Since(d.Seen) > limit {
		return Outcome{Status: target.Status{State: target.Lost, Cause: target.CauseLost,
			Reason: fmt.Sprintf("nothing was heard of it for longer than its timeout of %v: %s", s.Job.Timeout, words(err))}}, nil
	}
	return Outcome{}, fmt.Errorf("it may be running: %w", notFinal{err})
}

// notFinal is an error that would be final if the job had not begun: somebody who may log
// in no more, for one, may do so again tomorrow.
type notFinal struct{ err error }

func (n notFinal) Error() string { return words(n.err) }
