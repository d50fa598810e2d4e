package ssh

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Evictor = Driver{}

// Evict implements target.Evictor. Whoever looks at the job stops the other ranks.
func (d Driver) Evict(ctx context.Context, t target.Target, id string, rank int) error {
	hosts, err := d.place(t, id)
	if err != nil {
		return err
	}
	r, ok, err := recordOf(ctx, hosts[0], id)
	if err != nil || !ok {
		return err
	}
	if err := target.NoSuchRank(id, r.count(), rank); err != nil {
		return err
	}
	h := r.seats(hosts)[rank]
	if err := h.Stop(ctx, remote.Unit(id, rank), string(target.CausePreempted)); err != nil {
		return h.blame(fmt.Errorf("take rank %d from job %q: %w", rank, id, err))
	}
	return nil
}
