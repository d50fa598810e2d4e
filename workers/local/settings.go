package local

import (
	"encoding/json"
	"fmt"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	Shell  string       `json:"shell"`
	Nodes  int          `json:"nodes"`
	CPUs   float64      `json:"cpus"`
	Memory jobdir.Bytes `json:"memory"`
	GPUs   devices      `json:"gpus"`
	Log    jobdir.Bytes `json:"log"`
}

// A log is kept up to mostLog unless the target says otherwise, and up to leastLog
// whatever it says: a beginning and an end must be worth reading.
const (
	mostLog  = 1 << 30
	leastLog = 64 << 10
)

func readSettings(t target.Target) (settings, error) {
	s := settings{Shell: "sh", Nodes: 1, Log: mostLog}
	if len(t.Settings) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(t.Settings, &s); err != nil {
		return s, fmt.Errorf("settings of target %q: %w: %w", t.Name, err, target.ErrPermanent)
	}
	if s.Log < leastLog {
		return s, fmt.Errorf("settings of target %q: `log` is %s, which leaves too little to read: write at least %s: %w", t.Name, jobdir.FormatBytes(int64(s.Log)), jobdir.FormatBytes(leastLog), target.ErrPermanent)
	}
	return s, nil
}

// grant gives a job what it asks for, or what the target has where it asks for
// nothing, and refuses a job that asks for more.
func (s settings) grant(name string, need target.Resources) (target.Resources, error) {
	need.Nodes = max(need.Nodes, 1)
	if need.Nodes > s.Nodes {
		return need, fmt.Errorf("target %q has %d nodes, the job asks for %d: raise `nodes` of the target, or ask for fewer: %w", name, s.Nodes, need.Nodes, target.ErrPermanent)
	}
	if err := s.fits(name, need); err != nil {
		return need, fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	if need.CPUs == 0 {
		need.CPUs = s.CPUs
	}
	if need.Memory == 0 {
		need.Memory = int64(s.Memory)
	}
	return need, nil
}

var _ target.Fitter = Driver{}

// Fits implements target.Fitter.
func (Driver) Fits(t target.Target, need target.Resources) error {
	s, err := readSettings(t)
	if err != nil {
		return nil //nolint:nilerr // whoever uses the target says what is wrong with its settings
	}
	return s.fits(t.Name, need)
}

// fits refuses what the target never gives to a job.
func (s settings) fits(name string, need target.Resources) error {
	need.Nodes = max(need.Nodes, 1)
	switch {
	case need.GPUs > 0 && len(s.GPUs) == 0:
		return target.Misfit{Path: "gpus", What: fmt.Sprintf("target %q lends no GPUs, the job asks for %d", name, need.GPUs), Cure: "set `gpus` of the target, or choose one that has some"}
	case need.GPUs*need.Nodes > len(s.GPUs):
		return target.Misfit{Path: "gpus", What: fmt.Sprintf("target %q lends %s, the job asks for %d", name, plural(len(s.GPUs), "GPU"), need.GPUs*need.Nodes), Cure: "raise `gpus` of the target, or ask for fewer"}
	case s.CPUs > 0 && need.CPUs > s.CPUs:
		return target.Misfit{Path: "cpus", What: fmt.Sprintf("target %q has %g cpus, the job asks for %g", name, s.CPUs, need.CPUs), Cure: "raise `cpus` of the target, or ask for fewer"}
	case s.Memory > 0 && need.Memory > int64(s.Memory):
		return target.Misfit{Path: "memory", What: fmt.Sprintf("target %q has %s of memory, the job asks for %s", name, jobdir.FormatBytes(int64(s.Memory)), jobdir.FormatBytes(need.Memory)), Cure: "raise `memory` of the target, or ask for less"}
	}
	return nil
}
