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
	return d.jobs.Kept(ctx, t)
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	return d.jobs.Sweep(ctx, t, k, before)
}
