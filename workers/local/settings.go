package local

import (
	"encoding/json"
	"fmt"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
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

// room is what the target has for one job.
func (s settings) room() ranks.Room {
	return ranks.Room{Nodes: s.Nodes, GPUs: len(s.GPUs), CPUs: s.CPUs, Memory: int64(s.Memory)}
}

var _ target.Fitter = Driver{}

// Fits implements target.Fitter.
func (Driver) Fits(t target.Target, need target.Resources) error {
	s, err := readSettings(t)
	if err != nil {
		return nil //nolint:nilerr // whoever uses the target says what is wrong with its settings
	}
	return s.room().Fits(t.Name, need)
}
