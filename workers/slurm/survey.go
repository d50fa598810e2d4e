package slurm

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Surveyor = Driver{}

// Survey implements target.Surveyor. It tells of the nodes of the target's partition, or of
// the one that Slurm takes when none is said: how many there are of each make, also when they
// are down.
func (d Driver) Survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	c, err := d.cluster(t)
	if err != nil {
		return nil, err
	}
	if _, err := c.Facts(ctx); err != nil {
		return nil, c.blame(err)
	}
	text, err := c.call(ctx, lines(c.settings.Partition), "machines")
	if err != nil {
		return nil, err
	}
	return parseMachines(text, c.settings.Partition != ""), nil
}

var gpusOf = regexp.MustCompile(`(?:^|,)gpu:(?:[^:,(]*:)?([0-9]+)`)

// parseMachines reads what the verb machines says. named tells that all partitions of it are
// the target's.
func parseMachines(text string, named bool) []target.Machine {
	var all []target.Machine
	config := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 6 && f[0] == "node" {
			if named || strings.HasSuffix(f[1], "*") {
				all = add(all, machine(f[1:]))
			}
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		config[strings.TrimSpace(key)] = strings.ToLower(strings.TrimSpace(value))
	}
	memory, cpus := target.ByNobody, target.ByNobody
	groups := strings.Contains(config["TaskPlugin"], "cgroup")
	if groups && config["ConstrainRAMSpace"] == "yes" || strings.Contains(config["JobAcctGatherParams"], "overmemorykill") {
		memory = target.BySlurm
	}
	if groups && config["ConstrainCores"] == "yes" || strings.Contains(config["TaskPlugin"], "affinity") {
		cpus = target.BySlurm
	}
	for i := range all {
		all[i].MemoryBy, all[i].CPUsBy = memory, cpus
	}
	return all
}

// machine is a line of nodes: their partition, how many, cores, megabytes and gres.
func machine(f []string) target.Machine {
	m := target.Machine{Name: "partition " + strings.TrimSuffix(f[0], "*")}
	m.Alike, _ = strconv.Atoi(f[1])
	m.CPUs, _ = strconv.ParseFloat(f[2], 64)
	megabytes, _ := strconv.ParseInt(f[3], 10, 64)
	m.Memory = megabytes << 20
	gpus := 0
	for _, g := range gpusOf.FindAllStringSubmatch(f[4], -1) {
		n, _ := strconv.Atoi(g[1])
		gpus += n
	}
	m.GPUs = &gpus
	return m
}

// add counts nodes that are alike, and told apart by their state alone, together.
func add(all []target.Machine, m target.Machine) []target.Machine {
	same := func(o target.Machine) bool {
		return o.Name == m.Name && o.CPUs == m.CPUs && o.Memory == m.Memory && *o.GPUs == *m.GPUs
	}
	if i := slices.IndexFunc(all, same); i >= 0 {
		all[i].Alike += m.Alike
		return all
	}
	return append(all, m)
}
