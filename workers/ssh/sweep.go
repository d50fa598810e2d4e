package ssh

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. Without a name there is no host to ask.
func (d Driver) Kept(ctx context.Context, t target.Target) ([]target.Kept, error) {
	if t.Name == "" {
		return nil, nil
	}
	hosts, err := d.hosts(t)
	if err != nil {
		return nil, err
	}
	kept := make([][]target.Kept, len(hosts))
	err = each(hosts, func(i int, h host) (err error) {
		kept[i], err = h.Kept(ctx)
		return err
	})
	return remote.JoinRanks(slices.Concat(kept...)), err
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	switch k.What {
	case target.KeptJob:
		return d.sweepJob(ctx, t, k.Name)
	case target.KeptMark:
		return d.sweepMark(ctx, t, k.Name, before)
	case target.KeptEnvironment:
		return d.sweepAll(ctx, t, func(ctx context.Context, h host) (bool, error) { return h.Unequip(ctx, k.Name, before) })
	case target.KeptContent:
		return d.sweepAll(ctx, t, func(ctx context.Context, h host) (bool, error) { return h.ForgetContent(ctx, k.Name, before) })
	}
	return false, nil
}

func (d Driver) sweepJob(ctx context.Context, t target.Target, id string) (bool, error) {
	hosts, err := d.place(t, id)
	if err != nil {
		return false, err
	}
	v, err := hosts[0].Look(ctx, remote.Unit(id, 0))
	if err != nil || !v.Known {
		return false, err
	}
	err = d.Clean(ctx, t, id)
	if errors.Is(err, remote.ErrRunning) {
		return false, nil
	}
	return err == nil, err
}

// sweepMark removes the marks of the ranks of a job that is long gone.
func (d Driver) sweepMark(ctx context.Context, t target.Target, id string, before time.Time) (bool, error) {
	hosts, err := d.place(t, id)
	if err != nil {
		return false, err
	}
	removed := make([]bool, len(hosts))
	err = each(hosts, func(n int, h host) (err error) {
		removed[n], err = h.Unmark(ctx, id, before)
		return err
	})
	return slices.Contains(removed, true), err
}

// sweepAll removes something from every host that can do without.
func (d Driver) sweepAll(ctx context.Context, t target.Target, do func(context.Context, host) (bool, error)) (bool, error) {
	hosts, err := d.hosts(t)
	if err != nil {
		return false, err
	}
	removed := make([]bool, len(hosts))
	err = each(hosts, func(n int, h host) (err error) {
		removed[n], err = do(ctx, h)
		return err
	})
	return slices.Contains(removed, true), err
}
