package cluster

import (
	"context"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Surveyor = Driver{}

// Survey implements target.Surveyor. It tells of what nodes are made of: this computer, the
// hosts of the provider, or the nodes that Slurm lends.
func (d Driver) Survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	switch s.kind {
	case providerSSH:
		return d.ssh.Survey(ctx, s.reach(t.Name, s.hosts...))
	case providerSlurm:
		return d.slurm.Survey(ctx, s.reach(t.Name))
	}
	return d.jobs.Survey(ctx, s.place(t.Name))
}
