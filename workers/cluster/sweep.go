package cluster

import (
	"context"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. All clusters share the folders of jobs, so that it does
// not matter which one is asked.
func (d Driver) Kept(ctx context.Context, t target.Target) ([]target.Kept, error) {
	here, err := d.jobs.Kept(ctx, t)
	if err != nil {
		return nil, err
	}
	far, err := d.keptFar()
	return append(here, far...), err
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	if k.What == target.KeptJob {
		if f, ok, err := d.farJob(k.Name); ok || err != nil {
			if err != nil {
				return false, err
			}
			return d.sweepFar(ctx, k.Name, f)
		}
	}
	return d.jobs.Sweep(ctx, t, k, before)
}
