package slurm

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Evictor = Driver{}

// Evict implements target.Evictor. The node of the rank finds the mark in its folder, and
// the nodes stop the other ranks.
func (d Driver) Evict(ctx context.Context, t target.Target, id string, rank int) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok {
		return err
	}
	if err := target.NoSuchRank(id, r.Ranks, rank); err != nil {
		return err
	}
	if err := c.Stop(ctx, remote.Unit(id, rank), string(target.CausePreempted)); err != nil {
		return c.blame(fmt.Errorf("take rank %d from job %q: %w", rank, id, err))
	}
	return nil
}
