package slurm

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// record is what the folder of a job keeps for calls that know its id alone. It holds
// nothing of what the job is given.
type record struct {
	Ranks      int                `json:"nodes"` // so the key was called when each node had one
	Timeout    time.Duration      `json:"timeout,omitempty"`
	Memory     int64              `json:"memory,omitempty"` // bytes of each rank
	Program    string             `json:"program"`          // see ranks.Facts
	Script     bool               `json:"script"`
	Path       string             `json:"path"`
	Outputs    []target.Artifact  `json:"outputs,omitempty"`
	Checkpoint *target.Checkpoint `json:"checkpoint,omitempty"`
	Held       []string           `json:"held,omitempty"` // the nodes that it was given, see held.go
}

func (r record) facts() ranks.Facts {
	return ranks.Facts{Nodes: r.Ranks, Timeout: r.Timeout, Memory: r.Memory, Program: r.Program, Script: r.Script, Path: r.Path}
}

// recordOf returns the record of a job, and reports whether there is one.
func (c *cluster) recordOf(ctx context.Context, id string) (r record, ok bool, err error) {
	ok, err = c.Record(ctx, remote.Unit(id, 0), &r)
	if err != nil {
		err = c.blame(fmt.Errorf("read the record of job %q: %w", id, err))
	}
	return r, ok, err
}
