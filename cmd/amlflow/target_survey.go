package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/workers/target"
)

// survey looks at what the machines of a target have, where its driver can.
func (p *program) survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	d, err := p.driverOf(t)
	if err != nil {
		return nil, err
	}
	s, ok := d.(target.Surveyor)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	seen, err := s.Survey(ctx, t)
	if err != nil {
		return seen, errors.New(plainly(err))
	}
	return seen, nil
}

// machineRow says what a machine has, and what holds jobs to it.
func machineRow(m target.Machine) []string {
	name, cpus, memory, gpus := m.Name, "?", "?", "?"
	if m.Alike > 1 {
		name += " (" + strconv.Itoa(m.Alike) + " alike)"
	}
	if m.CPUs > 0 {
		cpus = number(m.CPUs)
	}
	if m.Memory > 0 {
		memory = number(math.Round(float64(m.Memory)/(1<<30)*10)/10) + "Gi"
	}
	if m.GPUs != nil {
		gpus = strconv.Itoa(*m.GPUs)
	}
	return []string{name, cpus, memory, gpus, heldBy(m.MemoryBy), heldBy(m.CPUsBy)}
}

// machineHead are the words above rows of machines.
func (p *program) machineHead(before ...string) []string {
	return p.heading(append(before, "MACHINE", "CPUS", "MEMORY", "GPUS", "MEMORY IS HELD BY", "CPUS ARE HELD BY")...)
}

// heldBy says in words what holds jobs to a limit.
func heldBy(h target.Holder) string {
	switch h {
	case target.ByWatch:
		return "a look each second"
	case target.ByGroup1, target.ByGroup2, target.BySlurm, target.ByNobody:
		return string(h)
	}
	return "?"
}

// unheldWords tells what nobody holds jobs to on some machine; empty: all is held.
func unheldWords(seen []target.Machine) string {
	memory := slices.ContainsFunc(seen, func(m target.Machine) bool { return m.MemoryBy == target.ByNobody })
	cpus := slices.ContainsFunc(seen, func(m target.Machine) bool { return m.CPUsBy == target.ByNobody })
	switch {
	case memory && cpus:
		return "nobody holds its jobs to `memory` and `cpus`"
	case memory:
		return "nobody holds its jobs to `memory`"
	case cpus:
		return "nobody holds its jobs to `cpus`"
	}
	return ""
}
