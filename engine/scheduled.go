package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/secrets"

	"go.temporal.io/sdk/temporal"
)

// prepareScheduled sees to what a run that a schedule begins needs of this computer: its
// plan, and a copy of what is kept for its secrets. Doing it again changes nothing.
func prepareScheduled(home string) func(context.Context, flow.Preparing) error {
	return func(ctx context.Context, p flow.Preparing) error {
		b, err := blob.OpenFolder(p.Store)
		if err != nil {
			return err
		}
		if err := b.Use(ctx, p.PlanRef); err != nil {
			return final("the plan of the schedule is no longer in the store %q: add the schedule again (%v)", p.Store, err)
		}
		if p.Sealed == "" {
			return nil
		}
		err = secrets.Lend(home, p.Sealed, p.Run)
		if errors.Is(err, fs.ErrNotExist) {
			return final("what was kept for the secrets of the schedule is gone: add the schedule again")
		}
		return err
	}
}

// final is an error that trying again does not mend.
func final(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), "schedule", nil)
}
