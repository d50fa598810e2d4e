package target

import "context"

// Surveyor is a driver that can look at what the machines of a target have, and at what
// would hold a job there to its limits.
type Surveyor interface {
	Driver
	// Survey looks once at the machines of t. It runs no job, and leaves nothing behind.
	Survey(ctx context.Context, t Target) ([]Machine, error)
}

// Machine is what was seen of a machine, or of several that are alike.
type Machine struct {
	Name   string  `json:"name"`
	Alike  int     `json:"alike"`  // how many machines these are; at least 1
	CPUs   float64 `json:"cpus"`   // cores of each; 0: it could not be told
	Memory int64   `json:"memory"` // bytes of each; 0: it could not be told
	GPUs   *int    `json:"gpus"`   // of each; nil: nothing there can count them
	// MemoryBy and CPUsBy are what holds jobs to what they ask for.
	MemoryBy Holder `json:"memory_by"`
	CPUsBy   Holder `json:"cpus_by"`
}

// Holder is what holds jobs to a limit.
type Holder string

// All that may hold jobs to a limit.
const (
	ByNobody Holder = "nobody"
	ByGroup1 Holder = "cgroup v1" // a control group of the kernel
	ByGroup2 Holder = "cgroup v2"
	ByWatch  Holder = "watched" // a process looks each second, and kills what is over the limit
	BySlurm  Holder = "slurm"   // as it is configured
)
