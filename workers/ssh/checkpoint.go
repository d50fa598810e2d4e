package ssh

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Checkpointer = Driver{}

// Checkpoint implements target.Checkpointer.
func (d Driver) Checkpoint(ctx context.Context, t target.Target, id, mark string, out target.Blobs) (target.Ref, string, error) {
	hosts, err := d.place(t, id)
	if err != nil {
		return "", mark, err
	}
	r, ok, err := recordOf(ctx, hosts[0], id)
	if err != nil || !ok || r.Checkpoint == nil {
		return "", mark, err
	}
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return "", mark, err
	}
	ref, now, err := hosts[0].PutCheckpoints(ctx, out, remote.Unit(id, 0), *r.Checkpoint, !st.State.Ended(), mark)
	if err != nil {
		return "", mark, hosts[0].blame(fmt.Errorf("keep a checkpoint of job %q: %w", id, err))
	}
	return ref, now, nil
}
