package docker

import (
	"context"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/client"
)

var _ target.Surveyor = Driver{}

// Survey implements target.Surveyor. The engine tells of its machine, and nothing of its GPUs.
func (d Driver) Survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	s, err := readSettings(t)
	if err != nil {
		return nil, err
	}
	e, err := open(s.address)
	if err != nil {
		return nil, err
	}
	r, err := e.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, e.trouble("ask what its machine has", err)
	}
	group := func(able bool) target.Holder {
		switch {
		case !able:
			return target.ByNobody
		case r.Info.CgroupVersion == "2":
			return target.ByGroup2
		}
		return target.ByGroup1
	}
	return []target.Machine{{
		Name: r.Info.Name, Alike: 1, CPUs: float64(r.Info.NCPU), Memory: r.Info.MemTotal,
		MemoryBy: group(r.Info.MemoryLimit), CPUsBy: group(r.Info.CPUCfsQuota),
	}}, nil
}
