package local

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Evictor = Driver{}

// Evict implements target.Evictor. Whoever looks at the job stops the other ranks.
func (d Driver) Evict(_ context.Context, t target.Target, id string, rank int) error {
	f, err := d.folder(id)
	if err != nil || exists(d.tombstone(id)) {
		return err
	}
	r, ok, err := f.read()
	if err != nil || !ok {
		return err
	}
	if err := target.NoSuchRank(id, r.Job.Ranks(), rank); err != nil {
		return err
	}
	if err := f.stopRank(rank, target.CausePreempted, r.Job.Grace); err != nil {
		return fmt.Errorf("take rank %d from job %q: %w", rank, id, err)
	}
	return nil
}
