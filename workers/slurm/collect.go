package slurm

import (
	"context"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	return remote.ReadStream(ctx, id, s, offset, w, func(rank int) (remote.Seat, error) {
		c, err := d.cluster(t)
		if err != nil {
			return remote.Seat{}, err
		}
		return c.seat(id, rank), nil
	})
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	return remote.CollectJob(ctx, d, t, id, out, func() (all []remote.Seat, outputs []target.Artifact, err error) {
		c, err := d.cluster(t)
		if err != nil {
			return nil, nil, err
		}
		r, ok, err := c.recordOf(ctx, id)
		if err != nil || !ok {
			return nil, nil, err
		}
		for n := range r.Ranks {
			all = append(all, c.seat(id, n))
		}
		return all, r.Outputs, nil
	})
}

// seat is where rank n of a job is.
func (c *cluster) seat(id string, n int) remote.Seat {
	return remote.Seat{Machine: c.Machine, Unit: remote.Unit(id, n), Blame: c.blame}
}

var _ target.Checkpointer = Driver{}

// Checkpoint implements target.Checkpointer.
func (d Driver) Checkpoint(ctx context.Context, t target.Target, id, mark string, out target.Blobs) (target.Ref, string, error) {
	c, err := d.cluster(t)
	if err != nil {
		return "", mark, err
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok || r.Checkpoint == nil {
		return "", mark, err
	}
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return "", mark, err
	}
	ref, now, err := c.PutCheckpoints(ctx, out, remote.Unit(id, 0), *r.Checkpoint, !st.State.Ended(), mark)
	if err != nil {
		return "", mark, c.blame(fmt.Errorf("keep a checkpoint of job %q: %w", id, err))
	}
	return ref, now, nil
}
