package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/cron"
	"github.com/amlflow/amlflow/workers/secrets"

	"go.temporal.io/sdk/temporal"
)

// prepareScheduled sees to what a run that a schedule begins needs of this computer: its
// plan, and a copy of what is kept for its secrets. Doing it again changes nothing.
func prepareScheduled(home string) func(context.Context, flow.Preparing) (flow.Prepared, error) {
	return func(ctx context.Context, p flow.Preparing) (done flow.Prepared, err error) {
		if p.Timing != nil {
			if done.Overtaken = overtaken(*p.Timing, *p.At, *p.Since); !done.Overtaken.IsZero() {
				return done, nil
			}
		}
		b, err := blob.OpenFolder(p.Store)
		if err != nil {
			return done, err
		}
		if err := b.Use(ctx, p.PlanRef); err != nil {
			return done, final("the plan of the schedule is no longer in the store %q: add the schedule again (%v)", p.Store, err)
		}
		if p.Sealed == "" {
			return done, nil
		}
		err = secrets.Lend(home, p.Sealed, p.Run)
		if errors.Is(err, fs.ErrNotExist) {
			return done, final("what was kept for the secrets of the schedule is gone: add the schedule again")
		}
		return done, err
	}
}

// overtaken is the time of a schedule behind at, if it had come when the run for at could
// begin; else zero. What may still be put off by chance has not come: else each of times that
// lie closer than that would leave it to the next, for ever.
func overtaken(t flow.Timing, at, since time.Time) time.Time {
	next := nextTime(t, at)
	if next.IsZero() || next.Add(t.Jitter).After(since) {
		return time.Time{}
	}
	return next.UTC()
}

// nextTime is the time of a schedule behind one of them.
func nextTime(t flow.Timing, at time.Time) time.Time {
	if t.Every > 0 { // from 1970 on, as Temporal counts
		every := int64(t.Every / time.Second)
		return time.Unix((at.Unix()/every+1)*every, 0)
	}
	times, _ := cron.Parse(t.Cron) // it was checked
	zone, err := time.LoadLocation(t.Timezone)
	if err != nil {
		return time.Time{}
	}
	return times.Next(at.In(zone))
}

// final is an error that trying again does not mend.
func final(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), "schedule", nil)
}
