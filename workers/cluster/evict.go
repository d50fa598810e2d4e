package cluster

import (
	"context"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Evictor = Driver{}

// Evict implements target.Evictor. The nodes stay, for the next attempt.
func (d Driver) Evict(ctx context.Context, t target.Target, id string, rank int) error {
	if far, ok, err := d.farJob(id); ok || err != nil {
		if err != nil {
			return err
		}
		return d.ssh.Evict(ctx, far.target(t.Name), id, rank)
	}
	return d.jobs.Evict(ctx, t, id, rank)
}
