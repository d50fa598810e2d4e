package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Choice is the target that was chosen among several, and why not an earlier one.
type Choice struct {
	Index int      `json:"index"`
	Notes []string `json:"notes,omitempty"`
}

// The bounds of asking targets whether they can be used.
const (
	askNext = time.Second     // how long one may be silent before the next is asked, too
	passBy  = 3 * time.Second // how long one is waited for when a later one can be used

	lookAgain = 50 * time.Millisecond
)

// Choose returns the first target that can be used now. When none can, it returns the last
// one, so that submitting to it says why. A target that is silent is not waited for long
// when there is another: a network may swallow what is sent to it for minutes.
func (a *Activities) Choose(ctx context.Context, ts []target.Target) (Choice, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make([]*inquiry, len(ts))
	for i, t := range ts {
		d, err := a.driver(t)
		if err != nil {
			return Choice{}, err
		}
		asked[i] = &inquiry{target: t, driver: d, done: make(chan struct{})}
	}
	for i, q := range asked {
		q.ask(ctx)
		if i < len(asked)-1 {
			q.within(ctx, askNext)
		}
		if c, sure := chosen(asked[:i+1], i == len(asked)-1); sure {
			return c, nil
		}
	}
	for { // who is silent has time while nobody else can be used
		if q := firstSilent(asked); q != nil {
			q.within(ctx, lookAgain)
		}
		if ctx.Err() != nil {
			return Choice{}, context.Cause(ctx)
		}
		if c, sure := chosen(asked, true); sure {
			return c, nil
		}
	}
}

func firstSilent(asked []*inquiry) *inquiry {
	for _, q := range asked {
		if !q.answered() {
			return q
		}
	}
	return nil
}

// inquiry is one target that is asked whether it can be used.
type inquiry struct {
	target target.Target
	driver target.Driver
	at     time.Time
	done   chan struct{}
	err    error // once done
}

func (q *inquiry) ask(ctx context.Context) {
	q.at = time.Now()
	go func() {
		q.err = q.driver.Check(ctx, q.target)
		close(q.done)
	}()
}

// within waits for an answer, for a while.
func (q *inquiry) within(ctx context.Context, d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-q.done:
	case <-late.C:
	case <-ctx.Done():
	}
}

func (q *inquiry) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// chosen is the choice that follows from the answers so far, and whether it is sure. all
// tells that there are no other targets.
func chosen(asked []*inquiry, all bool) (c Choice, sure bool) {
	for i, q := range asked {
		c.Index = i
		switch {
		case !q.answered():
			if time.Since(q.at) < passBy {
				return c, false
			}
			all = false
			c.Notes = append(c.Notes, fmt.Sprintf("target %q cannot be used now: it has not answered within %v", q.target.Name, passBy))
		case q.err == nil:
			return c, true
		default:
			c.Notes = append(c.Notes, fmt.Sprintf("target %q cannot be used now: %v", q.target.Name, words(q.err)))
		}
	}
	return c, all
}
