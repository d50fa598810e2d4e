package cluster

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Evictor = Driver{}

// Evict implements target.Evictor. The nodes stay, for the next attempt.
func (d Driver) Evict(ctx context.Context, t target.Target, id string, rank int) error {
	if far, ok, err := d.farJob(id); ok || err != nil {
		if err != nil {
			return err
		}
		e, ok := d.there(far.Kind).(target.Evictor)
		if !ok {
			return fmt.Errorf("nodes of kind %q cannot be taken away one by one: %w", far.Kind, target.ErrPermanent)
		}
		return e.Evict(ctx, far.target(t.Name), id, rank)
	}
	return d.jobs.Evict(ctx, t, id, rank)
}
