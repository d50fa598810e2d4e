package slurm

import (
	"context"
	"fmt"
	"strconv"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Cancel implements target.Driver. The mark in the folder is what counts: a job of Slurm
// that finds it starts nothing, and one that runs looks for it. Then Slurm is asked to take
// the job out of the queue, so that it takes no place there, or to have the node look now.
func (d Driver) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	if err := c.Stop(ctx, remote.Unit(id, 0), string(why)); err != nil {
		return c.blame(err)
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok {
		return err // nothing was submitted
	}
	err = each(1, r.Ranks, func(n int) error { return c.Stop(ctx, remote.Unit(id, n), string(why)) })
	if err != nil {
		return c.blame(err)
	}
	if len(r.Held) > 0 {
		return nil // its nodes look for the mark
	}
	return c.withdraw(ctx, id, r.Ranks)
}

func (c *cluster) withdraw(ctx context.Context, id string, nodes int) error {
	if _, err := c.call(ctx, nil, "withdraw", id, strconv.Itoa(nodes)); err != nil {
		return fmt.Errorf("withdraw job %q: %w", id, err)
	}
	return nil
}

// Clean implements target.Driver. Rank 0 goes last, as it alone knows of the others.
func (d Driver) Clean(ctx context.Context, t target.Target, id string) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	r, views, err := c.look(ctx, id)
	if err != nil || !views[0].Known {
		return err
	}
	for _, v := range views {
		if v.Phase == jobdir.Running {
			return fmt.Errorf("clean job %q: cancel it first: %w", id, remote.ErrRunning)
		}
	}
	if unended(views[0]) { // it must not stay in the queue, of which nobody would know
		if err := c.Stop(ctx, remote.Unit(id, 0), string(target.CauseCancel)); err != nil {
			return c.blame(err)
		}
		if len(r.Held) == 0 {
			if err := c.withdraw(ctx, id, r.Ranks); err != nil {
				return err
			}
		}
	}
	for n := r.Ranks - 1; n >= 0; n-- {
		if err := c.Machine.Clean(ctx, remote.Unit(id, n)); err != nil {
			return c.blame(fmt.Errorf("clean job %q: %w", id, err))
		}
	}
	return nil
}
