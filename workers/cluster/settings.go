package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
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
		GPUs   int             `json:"gpus"`
	} `json:"node"`
	Priority string          `json:"priority"`
	Lifetime string          `json:"lifetime"`
	Provider json.RawMessage `json:"provider"`
	Shell    json.RawMessage `json:"shell"`
	Log      json.RawMessage `json:"log"`

	limits schedule.Limits
	kind   string   // of the provider
	hosts  []string // that nodes may be, of the provider ssh
}

// The kinds of provider.
const (
	providerLocal = "local"
	providerSSH   = "ssh"
	providerSlurm = "slurm"
)

// ofRun is the lifetime of a cluster that vanishes with its run.
const ofRun = "run"

func readSettings(t target.Target) (settings, error) {
	var s settings
	s.Nodes.Idle, s.kind = "2m", providerLocal
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
	devices, wrong := s.readProvider()
	if wrong != nil {
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
	case s.kind == providerSSH && s.Nodes.Max > len(s.hosts):
		return misfit("nodes/max", "lower the first, or add to `provider.hosts`", "`nodes.max` is %d, and the provider has %d hosts", s.Nodes.Max, len(s.hosts))
	case len(devices) > 0 && s.Node.GPUs == 0:
		return misfit("provider/gpus", "add `node: { gpus: N }`, how many each node has", "`provider.gpus` has no effect without `node.gpus`")
	case s.kind == providerLocal && s.Node.GPUs*s.Nodes.Max > len(devices) && len(devices) > 0:
		return misfit("provider/gpus", "add to them, or lower `nodes.max` or `node.gpus`", "%d nodes with %s each are more than the %d of `provider.gpus`", s.Nodes.Max, count(s.Node.GPUs, "GPU"), len(devices))
	}
	if s.Priority != "" && s.Priority != "dedicated" && s.Priority != "low" {
		return refuse("`priority` is %q: write dedicated or low", s.Priority)
	}
	if s.Lifetime != "" && s.Lifetime != "kept" && s.Lifetime != ofRun {
		return refuse("`lifetime` is %q: write kept or run", s.Lifetime)
	}
	if s.Lifetime == ofRun && (s.kind == providerSSH || s.kind == providerLocal && s.Node.GPUs > 0) {
		return misfit("lifetime", "leave it out: all runs share one queue then", "clusters of several runs would have the same %s at once, and not know of each other", map[bool]string{true: "hosts", false: "GPUs"}[s.kind == providerSSH])
	}
	node := s.node()
	s.limits = schedule.Limits{Min: s.Nodes.Min, Max: s.Nodes.Max, Idle: idle, GPUs: s.Node.GPUs, CPUs: node.CPUs, Memory: node.Memory, Lent: s.kind == providerSlurm}
	if s.kind == providerLocal {
		s.limits.Devices = s.devices(devices)
	}
	return s, nil
}

// devices are the GPUs of this computer that nodes have: those that the provider names, or
// the first ones.
func (s settings) devices(named []string) []string {
	for i := len(named); i < s.Node.GPUs*s.Nodes.Max; i++ {
		named = append(named, strconv.Itoa(i))
	}
	return named
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// readProvider reads where nodes come from, and says what is wrong with that. The devices
// are the GPUs that it names.
func (s *settings) readProvider() (devices []string, wrong *target.Misfit) {
	if len(s.Provider) == 0 {
		return nil, nil
	}
	var p map[string]json.RawMessage
	var names []any
	if err := json.Unmarshal(s.Provider, &p); err != nil {
		return nil, &target.Misfit{Path: "provider", What: "`provider`: " + err.Error(), Cure: "write for example { kind: local }"}
	}
	_ = json.Unmarshal(p["kind"], &s.kind)
	_ = json.Unmarshal(p["hosts"], &s.hosts)
	_ = json.Unmarshal(p["gpus"], &names) // all of them were held against the schema
	for _, name := range names {
		devices = append(devices, fmt.Sprint(name))
	}
	keys, ok := providerKeys[s.kind]
	switch {
	case !ok:
		return nil, &target.Misfit{Path: "provider/kind", What: fmt.Sprintf("there is no provider %q", s.kind), Cure: "write local, ssh or slurm"}
	case s.kind == providerSSH && len(s.hosts) == 0:
		return nil, &target.Misfit{Path: "provider", What: "the provider ssh has no `hosts`", Cure: "add `hosts: [NAME, …]`, the machines that nodes may be"}
	case s.kind == providerSlurm && p["shared_dir"] == nil:
		return nil, &target.Misfit{Path: "provider", What: "the provider slurm has no `shared_dir`", Cure: "add `shared_dir: FOLDER`, one that all nodes see under the same path"}
	}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if key != "kind" && !slices.Contains(keys, key) {
			return nil, &target.Misfit{Path: "provider/" + key, What: fmt.Sprintf("`%s` has no effect with the provider %s", key, s.kind), Cure: "leave it out, or write another `kind`"}
		}
	}
	return devices, nil
}

// providerKeys are the settings that each kind of provider knows.
var providerKeys = map[string][]string{
	providerLocal: {"gpus"},
	providerSSH:   {"hosts", "user", "port", "identity_file", "passphrase", "password", "known_hosts", "workdir", "jump"},
	providerSlurm: {"shared_dir", "partition", "account", "qos", "constraint", "gres", "time", "options", "conf", "bin", "via"},
}

// far reports whether nodes are other machines.
func (s settings) far() bool { return s.kind != providerLocal }

// reach is the target on whose places jobs run, in the order of ranks: one of kind ssh with
// these hosts, or one of kind slurm with these holds.
func (s settings) reach(name string, places ...string) target.Target {
	all := map[string]any{}
	_ = json.Unmarshal(s.Provider, &all) // it was read as JSON just before
	delete(all, "kind")
	if s.kind == providerSlurm {
		all["nodes"] = s.Nodes.Max
		if len(places) > 0 {
			all["held"] = places
		}
	} else {
		all["hosts"] = places
	}
	if len(s.Shell) > 0 {
		all["shell"] = s.Shell
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = nil
	}
	return target.Target{Name: name, Kind: s.kind, Settings: text}
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
	if s.Node.GPUs > 0 {
		all["gpus"] = s.devices(s.limits.Devices)
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = nil // it was read as JSON just before
	}
	return target.Target{Name: name, Kind: "local", Settings: text}
}

// part is what a job needs of its node; nil: all of it. One that asks for some of its GPUs has
// the same share of what it does not ask for.
func (s settings) part(job target.Job) *schedule.Part {
	need := job.Needs
	if need.Nodes > 1 || need.GPUs < 1 || need.GPUs >= s.Node.GPUs {
		return nil
	}
	p := &schedule.Part{GPUs: need.GPUs, CPUs: need.CPUs, Memory: need.Memory}
	if p.CPUs == 0 {
		p.CPUs = s.limits.CPUs * float64(need.GPUs) / float64(s.Node.GPUs)
	}
	if p.Memory == 0 {
		p.Memory = s.limits.Memory / int64(s.Node.GPUs) * int64(need.GPUs)
	}
	return p
}

// within is a job that is to stay within its part of a node.
func (s settings) within(job target.Job) target.Job {
	if p := s.part(job); p != nil {
		job.Needs.CPUs, job.Needs.Memory = p.CPUs, p.Memory
	}
	return job
}

var _ target.Fitter = Driver{}

// Fits implements target.Fitter.
func (Driver) Fits(t target.Target, need target.Resources) error {
	s, err := readSettings(t)
	if err != nil {
		return nil //nolint:nilerr // what is wrong with settings is said by Judge
	}
	return s.holds(t.Name, need)
}

// holds refuses requirements that no node meets.
func (s settings) holds(name string, need target.Resources) error {
	node := s.node()
	misfit := func(key, has, asks string) error {
		return target.Misfit{
			Path: key,
			What: fmt.Sprintf("a node of target %q has %s, the job asks for %s", name, has, asks),
			Cure: "raise `node." + key + "` of the target, or ask for " + map[bool]string{true: "less", false: "fewer"}[key == "memory"],
		}
	}
	switch {
	case need.GPUs > s.Node.GPUs:
		return misfit("gpus", count(s.Node.GPUs, "GPU"), strconv.Itoa(need.GPUs))
	case node.CPUs > 0 && need.CPUs > node.CPUs:
		return misfit("cpus", fmt.Sprintf("%g cpus", node.CPUs), fmt.Sprintf("%g", need.CPUs))
	case node.Memory > 0 && need.Memory > node.Memory:
		return misfit("memory", jobdir.FormatBytes(node.Memory)+" of memory", jobdir.FormatBytes(need.Memory))
	}
	return nil
}

// fits refuses a job that asks for more than there is.
func (s settings) fits(name string, job target.Job) error {
	if n := job.Needs.Nodes; n > s.Nodes.Max {
		return fmt.Errorf("target %q has at most %d nodes, the job asks for %d: raise `nodes.max` of the target, or ask for fewer: %w", name, s.Nodes.Max, n, target.ErrPermanent)
	}
	if err := s.holds(name, job.Needs); err != nil {
		return fmt.Errorf("%w: %w", err, target.ErrPermanent)
	}
	return nil
}
