package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/amlflow/amlflow/workers/target"
)

// Finished is a job whose results are recorded, so that what it left on its
// target is no longer needed.
type Finished struct {
	Target target.Target `json:"target"`
	Job    string        `json:"job"`
}

// cleaners is how many jobs are cleaned at once: one alone falls behind hundreds that
// are started.
const cleaners = 16

// Clean removes what finished jobs left on their targets. It must not come
// before their outcomes are recorded: there is nothing left to collect then.
func (a *Activities) Clean(ctx context.Context, jobs []Finished) error {
	errs := make([]error, len(jobs))
	var all sync.WaitGroup
	places := make(chan struct{}, cleaners)
	for i, j := range jobs {
		places <- struct{}{}
		life(ctx).beat(j.Job)
		all.Go(func() {
			errs[i] = a.clean(ctx, j)
			<-places
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (a *Activities) clean(ctx context.Context, j Finished) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := a.driver(j.Target)
	if err != nil {
		return err
	}
	if err := d.Clean(ctx, j.Target, j.Job); err != nil {
		return fmt.Errorf("clean up job %q: %w", j.Job, err)
	}
	return nil
}

// Forget removes what was kept for the secrets of a run. It is the last thing that
// is done for a run.
func (a *Activities) Forget(_ context.Context, run string) error {
	if a.Discard == nil {
		return nil
	}
	return a.Discard(run)
}
