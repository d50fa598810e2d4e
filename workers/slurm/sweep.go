package slurm

import (
	"context"
	"errors"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. Without a name there is no cluster to ask.
func (d Driver) Kept(ctx context.Context, t target.Target) ([]target.Kept, error) {
	if t.Name == "" {
		return nil, nil
	}
	c, err := d.cluster(t)
	if err != nil {
		return nil, err
	}
	all, err := c.Machine.Kept(ctx)
	if err != nil {
		return nil, c.blame(err)
	}
	return remote.JoinRanks(all), nil
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	c, err := d.cluster(t)
	if err != nil {
		return false, err
	}
	switch k.What {
	case target.KeptJob:
		used, err := c.used(ctx, k.Name)
		if err != nil || used {
			return false, err
		}
		err = d.Clean(ctx, t, k.Name)
		if errors.Is(err, remote.ErrRunning) {
			return false, nil
		}
		return err == nil, err
	case target.KeptMark:
		return c.Unmark(ctx, k.Name, before)
	case target.KeptEnvironment:
		return c.Unequip(ctx, k.Name, before)
	case target.KeptContent:
		return c.ForgetContent(ctx, k.Name, before)
	}
	return false, nil
}

// used reports whether a job runs, or waits in Slurm. One that is not known is not there to
// be swept either.
func (c *cluster) used(ctx context.Context, id string) (bool, error) {
	v, err := c.Look(ctx, remote.Unit(id, 0))
	if err != nil || !v.Known || !unended(v) {
		return !v.Known, err
	}
	d, err := c.details(ctx, id)
	return !d.Unasked, err
}
