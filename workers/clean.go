package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

// Finished is a job whose results are recorded, so that what it left on its
// target is no longer needed.
type Finished struct {
	Target target.Target `json:"target"`
	Job    string        `json:"job"`
}

// Clean removes what finished jobs left on their targets. It must not come
// before their outcomes are recorded: there is nothing left to collect then.
func (a *Activities) Clean(ctx context.Context, jobs []Finished) error {
	var errs []error
	for _, j := range jobs {
		life(ctx).beat(j.Job)
		d, err := a.driver(j.Target)
		if err != nil {
			return err
		}
		if err := d.Clean(ctx, j.Target, j.Job); err != nil {
			errs = append(errs, fmt.Errorf("clean up job %q: %w", j.Job, err))
		}
	}
	return errors.Join(errs...)
}

// Forget removes what was kept for the secrets of a run. It is the last thing that
// is done for a run.
func (a *Activities) Forget(_ context.Context, run string) error {
	if a.Discard == nil {
		return nil
	}
	return a.Discard(run)
}
