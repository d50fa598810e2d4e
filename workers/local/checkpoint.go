package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// checkpoints is the folder in which rank n leaves its checkpoints.
func (f folder) checkpoints(n int, c *target.Checkpoint) string {
	return filepath.Join(f.rank(n), "code", c.Path)
}

// restore gives rank n the folder for its checkpoints, with what it begins from.
func (f folder) restore(ctx context.Context, n int, c *target.Checkpoint, in target.Blobs) error {
	if c == nil {
		return nil
	}
	dir := f.checkpoints(n, c)
	if c.From == "" {
		return os.MkdirAll(dir, 0o755)
	}
	if err := jobdir.RemoveTree(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return target.Get(ctx, in, c.From, dir)
}

var _ target.Checkpointer = Driver{}

// Checkpoint implements target.Checkpointer.
func (d Driver) Checkpoint(ctx context.Context, t target.Target, id, mark string, out target.Blobs) (target.Ref, string, error) {
	f, err := d.folder(id)
	if err != nil {
		return "", mark, err
	}
	r, ok, err := f.read()
	if err != nil || !ok || r.Job.Checkpoint == nil {
		return "", mark, err
	}
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return "", mark, err
	}
	ref, now, err := target.PutCheckpoints(ctx, out, f.checkpoints(0, r.Job.Checkpoint), r.Job.Checkpoint.Keep, !st.State.Ended(), mark)
	if err != nil {
		return "", mark, fmt.Errorf("keep a checkpoint of job %q: %w", id, err)
	}
	return ref, now, nil
}
