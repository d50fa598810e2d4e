package slurm

import (
	"context"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	c, err := d.cluster(t)
	if err != nil {
		return offset, err
	}
	if offset < 0 || s.Rank < 0 {
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	}
	name, ok := map[string]string{target.Log: remote.LogFile, target.Metrics: ranks.MetricsFile}[s.Name]
	if !ok {
		return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
	}
	n, err := c.Machine.Read(ctx, remote.Unit(id, s.Rank), name, offset, w)
	if err != nil {
		err = c.blame(fmt.Errorf("read the %s of job %q: %w", s.Name, id, err))
	}
	return n, err
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if !st.State.Ended() {
		return target.Results{}, fmt.Errorf("job %q is %s: its results can be collected once it has ended", id, st.State)
	}
	c, err := d.cluster(t)
	if err != nil {
		return target.Results{}, err
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok {
		return target.Results{}, err // one that never was leaves nothing
	}
	left := make([]remote.Leaver, r.Ranks)
	names := remote.Wanted(r.Outputs)
	err = each(0, r.Ranks, func(n int) (err error) {
		left[n] = remote.Leaver{Machine: c.Machine, Unit: remote.Unit(id, n)}
		left[n].Left, err = c.Report(ctx, left[n].Unit, names)
		return err
	})
	var res target.Results
	if err == nil {
		res, err = remote.Collect(ctx, left[0], left[st.Rank], r.Outputs, out)
	}
	if err != nil {
		return res, c.blame(fmt.Errorf("collect job %q: %w", id, err))
	}
	return res, nil
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
