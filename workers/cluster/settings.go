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
	Priority string          `json:"priority"`
	Provider json.RawMessage `json:"provider"`
	Shell    json.RawMessage `json:"shell"`
	Log      json.RawMessage `json:"log"`

	limits schedule.Limits
	kind   string   // of the provider
	hosts  []string // that nodes may be on; none: they are shares of this computer
}

func readSettings(t target.Target) (settings, error) {
	var s settings
	s.Nodes.Idle, s.kind = "2m", "local"
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
	misfit := func(path, cure, format string, args ...any) (settings, error) {
		return refuse("%w", target.Misfit{Path: path, What: fmt.Sprintf(format, args...), Cure: cure})
	}
	if wrong := s.readProvider(); wrong != nil {
		return refuse("%w", *wrong)
	}
	idle, err := time.ParseDuration(s.Nodes.Idle)
	switch {
	case err != nil || idle < 0:
		return refuse("`nodes.idle` is %q: write a length of time such as 2m", s.Nodes.Idle)
	case s.Nodes.Max < 1:
		return refuse("`nodes.max` is missing: write how many nodes there may be")
	case s.Nodes.Min < 0 || s.Nodes.Min > s.Nodes.Max:
		return misfit("nodes/min", "lower the first, or raise the second", "`nodes.min` is %d and `nodes.max` is %d", s.Nodes.Min, s.Nodes.Max)
	case s.far() && s.Nodes.Max > len(s.hosts):
		return misfit("nodes/max", "lower the first, or add to `provider.hosts`", "`nodes.max` is %d, and the provider has %d hosts", s.Nodes.Max, len(s.hosts))
	}
	if s.Priority != "" && s.Priority != "dedicated" && s.Priority != "low" {
		return refuse("`priority` is %q: write dedicated or low", s.Priority)
	}
	s.limits = schedule.Limits{Min: s.Nodes.Min, Max: s.Nodes.Max, Idle: idle}
	return s, nil
}

// readProvider reads where nodes come from, and says what is wrong with that.
func (s *settings) readProvider() *target.Misfit {
	if len(s.Provider) == 0 {
		return nil
	}
	var p struct {
		Kind  string   `json:"kind"`
		Hosts []string `json:"hosts"`
	}
	if err := json.Unmarshal(s.Provider, &p); err != nil {
		return &target.Misfit{Path: "provider", What: "`provider`: " + err.Error(), Cure: "write for example { kind: local }"}
	}
	s.kind, s.hosts = p.Kind, p.Hosts
	switch {
	case p.Kind != "local" && p.Kind != "ssh":
		return &target.Misfit{Path: "provider/kind", What: fmt.Sprintf("there is no provider %q", p.Kind), Cure: "write local or ssh"}
	case p.Kind == "ssh" && len(p.Hosts) == 0:
		return &target.Misfit{Path: "provider", What: "the provider ssh has no `hosts`", Cure: "add `hosts: [NAME, …]`, the machines that nodes may be"}
	case p.Kind == "local" && len(p.Hosts) > 0:
		return &target.Misfit{Path: "provider/hosts", What: "`hosts` has no effect with the provider local", Cure: "write `kind: ssh`, or leave it out"}
	}
	return nil
}

// far reports whether nodes are other machines.
func (s settings) far() bool { return s.kind == "ssh" }

// reach is the target of kind ssh that has these hosts, in this order.
func (s settings) reach(name string, hosts ...string) target.Target {
	all := map[string]any{}
	_ = json.Unmarshal(s.Provider, &all) // it was read as JSON just before
	delete(all, "kind")
	all["hosts"] = hosts
	if len(s.Shell) > 0 {
		all["shell"] = s.Shell
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = nil
	}
	return target.Target{Name: name, Kind: "ssh", Settings: text}
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
