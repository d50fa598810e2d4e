package ssh

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// record is what the hosts of a job keep for calls that know its id alone. It holds
// nothing of what the job is given.
type record struct {
	Nodes   int               `json:"nodes"`
	Ranks   int               `json:"ranks,omitempty"` // 0: as many as nodes
	Each    int               `json:"each,omitempty"`  // ranks on one node; 0: one
	Master  string            `json:"master"`          // MASTER_ADDR and MASTER_PORT of all ranks
	Port    int               `json:"port"`
	Timeout time.Duration     `json:"timeout,omitempty"`
	Program string            `json:"program"` // see ranks.Facts
	Script  bool              `json:"script"`
	Path    string            `json:"path"`
	Outputs []target.Artifact `json:"outputs,omitempty"`
	// Checkpoint is where rank 0 leaves what it could go on from.
	Checkpoint *target.Checkpoint `json:"checkpoint,omitempty"`
	Memory     int64              `json:"memory,omitempty"` // bytes that one rank may use; 0: any
	CPUs       float64            `json:"cpus,omitempty"`   // the same of processors
	// GPUs are how many of the Of that each node has are lent to the job, on each of its nodes.
	GPUs int `json:"gpus,omitempty"`
	Of   int `json:"of,omitempty"`
	// Secrets tells that the job is given some, which are nowhere on record.
	Secrets bool `json:"secrets,omitempty"`
}

// count is how many ranks there are.
func (r record) count() int {
	if r.Ranks == 0 {
		return r.Nodes
	}
	return r.Ranks
}

// seats are the hosts of all ranks, in their order, among those of the job.
func (r record) seats(hosts []host) []host {
	var all []host
	for n := range r.count() {
		if node := n / max(r.Each, 1); node < len(hosts) {
			all = append(all, hosts[node])
		}
	}
	return all
}

func (r record) facts() ranks.Facts {
	return ranks.Facts{Nodes: r.count(), Timeout: r.Timeout, Memory: r.Memory, Program: r.Program, Script: r.Script, Path: r.Path}
}

// recordOf returns the record of a job, from the host of rank 0, and reports whether there
// is one.
func recordOf(ctx context.Context, h host, id string) (r record, ok bool, err error) {
	ok, err = h.Record(ctx, remote.Unit(id, 0), &r)
	if err != nil {
		err = h.blame(fmt.Errorf("read the record of job %q: %w", id, err))
	}
	return r, ok, err
}
