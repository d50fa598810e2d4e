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
	refuse := func(format string, args ...any) (target.Resources, error) {
		return need, fmt.Errorf("target %q "+format+": %w", append(append([]any{name}, args...), target.ErrPermanent)...)
	}
	need.Nodes = max(need.Nodes, 1)
	most := int64(s.Memory)
	switch {
	case need.Nodes > s.Nodes:
		return refuse("has %d nodes, the job asks for %d: raise `nodes` of the target, or ask for fewer", s.Nodes, need.Nodes)
	case need.GPUs > 0 && len(s.GPUs) == 0:
		return refuse("lends no GPUs, the job asks for %d: set `gpus` of the target, or choose one that has some", need.GPUs)
	case need.GPUs*need.Nodes > len(s.GPUs):
		return refuse("lends %s, the job asks for %d: raise `gpus` of the target, or ask for fewer", plural(len(s.GPUs), "GPU"), need.GPUs*need.Nodes)
	case s.CPUs > 0 && need.CPUs > s.CPUs:
		return refuse("has %g cpus, the job asks for %g: raise `cpus` of the target, or ask for fewer", s.CPUs, need.CPUs)
	case most > 0 && need.Memory > most:
		return refuse("has %s of memory, the job asks for %s: raise `memory` of the target, or ask for less", jobdir.FormatBytes(most), jobdir.FormatBytes(need.Memory))
	}
	if need.CPUs == 0 {
		need.CPUs = s.CPUs
	}
	if need.Memory == 0 {
		need.Memory = most
	}
	return need, nil
}
