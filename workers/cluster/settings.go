package cluster

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/target"
)

// settings is what a workspace may say about a target; see settings.schema.json.
type settings struct {
	Nodes struct {
		Min  int    `json:"min"`
		Max  int    `json:"max"`
		Idle string `json:"idle"`
	} `json:"nodes"`
	Node struct {
		CPUs   json.RawMessage `json:"cpus"`
		Memory json.RawMessage `json:"memory"`
	} `json:"node"`
	Priority string `json:"priority"`
	Provider struct {
		Kind string `json:"kind"`
	} `json:"provider"`
	Shell json.RawMessage `json:"shell"`
	Log   json.RawMessage `json:"log"`

	limits schedule.Limits
}

func readSettings(t target.Target) (settings, error) {
	var s settings
	s.Nodes.Idle, s.Provider.Kind = "2m", "local"
	refuse := func(format string, args ...any) (settings, error) {
		return s, fmt.Errorf("settings of target %q: "+format+": %w", append(append([]any{t.Name}, args...), target.ErrPermanent)...)
	}
	if !target.ValidID(t.Name) {
		return s, fmt.Errorf("%q cannot name a cluster: use lower-case letters, digits and . _ -: %w", t.Name, target.ErrPermanent)
	}
	if len(t.Settings) > 0 {
		if err := json.Unmarshal(t.Settings, &s); err != nil {
			return refuse("%w", err)
		}
	}
	idle, err := time.ParseDuration(s.Nodes.Idle)
	switch {
	case err != nil || idle < 0:
		return refuse("`nodes.idle` is %q: write a length of time such as 2m", s.Nodes.Idle)
	case s.Nodes.Max < 1:
		return refuse("`nodes.max` is missing: write how many nodes there may be")
	case s.Nodes.Min < 0 || s.Nodes.Min > s.Nodes.Max:
		return refuse("`nodes.min` is %d and `nodes.max` is %d: lower the first, or raise the second", s.Nodes.Min, s.Nodes.Max)
	case s.Provider.Kind != "local":
		return refuse("this version makes nodes on this computer only: write `provider: { kind: local }`, and not %q", s.Provider.Kind)
	}
	if s.Priority != "" && s.Priority != "dedicated" && s.Priority != "low" {
		return refuse("`priority` is %q: write dedicated or low", s.Priority)
	}
	s.limits = schedule.Limits{Min: s.Nodes.Min, Max: s.Nodes.Max, Idle: idle}
	return s, nil
}

// place is the target of kind local on which the jobs of a cluster run: as many ranks
// as it may have nodes, each within the bounds of a node.
func (s settings) place(name string) target.Target {
	all := map[string]any{"nodes": s.Nodes.Max}
	for key, value := range map[string]json.RawMessage{"cpus": s.Node.CPUs, "memory": s.Node.Memory, "shell": s.Shell, "log": s.Log} {
		if len(value) > 0 {
			all[key] = value
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = nil // it was read as JSON just before
	}
	return target.Target{Name: name, Kind: "local", Settings: text}
}
