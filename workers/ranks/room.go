package ranks

import (
	"fmt"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Room is what a target whose settings bound its jobs has for the ranks of one: Nodes that it may
// have, GPUs that are lent to it in all, and CPUs and bytes of memory for each of its nodes.
// CPUs or memory of zero are no bound.
type Room struct {
	Nodes, GPUs int
	CPUs        float64
	Memory      int64
}

// Grant gives a job of the target called name what it asks for, or what there is where it
// asks for nothing. It refuses a job that asks for more, permanently.
func (r Room) Grant(name string, need target.Resources) (target.Resources, error) {
	need.Nodes = max(need.Nodes, 1)
	if need.Nodes > r.Nodes {
		return need, fmt.Errorf("target %q has %d nodes, the job asks for %d: raise `nodes` of the target, or choose one that has several machines: %w", name, r.Nodes, need.Nodes, target.ErrPermanent)
	}
	if err := r.Fits(name, need); err != nil {
		return need, fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	if need.CPUs == 0 {
		need.CPUs = r.CPUs
	}
	if need.Memory == 0 {
		need.Memory = r.Memory
	}
	return need, nil
}

// Fits is Fits of a target.Fitter: a Misfit when the target called name never gives a job
// what it needs, or nil.
func (r Room) Fits(name string, need target.Resources) error {
	gpus := need.GPUs * max(need.Nodes, 1)
	refuse := func(path, cure, format string, args ...any) error {
		return target.Misfit{Path: path, What: fmt.Sprintf("target %q "+format, append([]any{name}, args...)...), Cure: cure}
	}
	switch {
	case gpus > 0 && r.GPUs == 0:
		return refuse("gpus", "set `gpus` of the target, or choose one that has some", "lends no GPUs, the job asks for %d", gpus)
	case gpus > r.GPUs:
		return refuse("gpus", "raise `gpus` of the target, or ask for fewer", "lends %d %s, the job asks for %d", r.GPUs, plural(r.GPUs), gpus)
	case r.CPUs > 0 && need.CPUs > r.CPUs:
		return refuse("cpus", "raise `cpus` of the target, or ask for fewer", "has %g cpus, the job asks for %g", r.CPUs, need.CPUs)
	case r.Memory > 0 && need.Memory > r.Memory:
		return refuse("memory", "raise `memory` of the target, or ask for less", "has %s of memory, the job asks for %s", jobdir.FormatBytes(r.Memory), jobdir.FormatBytes(need.Memory))
	}
	return nil
}

func plural(gpus int) string {
	if gpus == 1 {
		return "GPU"
	}
	return "GPUs"
}
