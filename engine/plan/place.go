package plan

import (
	"fmt"
	"math"
	"strconv"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/target"
)

// place decides where the stage runs and what it asks of that place.
func (b *staging) place(combination map[string]any) Place {
	seen := func(l *layer) *layer {
		if combination == nil || l.depth > 0 {
			return l
		}
		return l.with(combination)
	}
	var p Place
	p.Asks = b.asks(seen)
	p.Launch = b.launch(seen, p.Asks)
	if l := b.says("environment"); l.s.Environment.Image != "" {
		p.Image, _ = b.now(seen(l), l.s.At("environment")+"/image", l.s.Environment.Image)
	}
	if l := b.says("concurrency"); l.s.Concurrency != nil {
		p.Group = b.group(seen(l), l.s.Concurrency)
	}
	p.Targets = b.targets(seen(b.says("target")), p)
	return p
}

// groups is for stages that run nowhere themselves.
func (b *staging) groups() {
	if l := b.says("concurrency"); l.s.Concurrency != nil {
		b.out.Group = b.group(l, l.s.Concurrency)
	}
}

func (c *compiler) group(l *layer, g *schema.Concurrency) *Group {
	name, ok := c.now(l, g.Path, g.Group)
	if !ok {
		return nil
	}
	if name == "" || len(name) > 200 {
		c.bad(l, g.Path, "bad-name", fmt.Sprintf("a group cannot be named %.60q", name), "give it a name of 1 to 200 characters")
	}
	return &Group{Name: name, Limit: max(g.Limit, 1)}
}

// asks reads the resources, which may depend on params and matrix but not on the run.
func (b *staging) asks(seen func(*layer) *layer) (asks target.Resources) {
	at := func(key string) (*layer, string) {
		l := b.says("resources/" + key)
		return seen(l), l.s.At("resources/" + key)
	}
	l, path := at("cpus")
	if v, ok := b.amount(l, path, l.s.Resources.CPUs); ok {
		asks.CPUs = v
	}
	l, path = at("nodes")
	if v, ok := b.amount(l, path, l.s.Resources.Nodes); ok {
		if asks.Nodes = int(v); v != math.Trunc(v) || v > 10_000 {
			b.bad(l, path, "bad-amount", fmt.Sprintf("a stage cannot run on %v nodes", v), "write a whole number from 1 on")
		}
	}
	l, path = at("gpus")
	if text, ok := b.now(l, path, l.s.Resources.GPUs); ok && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1000 {
			b.bad(l, path, "bad-amount", fmt.Sprintf("a node cannot have %.20q GPUs", text), "write a whole number from 0 on")
		}
		asks.GPUs = n
	}
	l, path = at("memory")
	text, ok := b.now(l, path, l.s.Resources.Memory)
	if !ok || text == "" {
		return asks
	}
	size, err := schema.ParseBytes(text)
	if err != nil {
		b.bad(l, path, "bad-amount", err.Error(), "write bytes with a unit, for example 512Mi or 4Gi")
	}
	asks.Memory = size
	return asks
}

// The most processes of a stage: on each node, and in all.
const (
	mostPerNode   = 1024
	mostProcesses = 10_000
)

// launch reads how the processes begin; nil when each node runs one, as it does anyway.
func (b *staging) launch(seen func(*layer) *layer, asks target.Resources) *target.Launch {
	l := seen(b.says("launch"))
	if l.s.Launch == nil || b.out.Deploy != nil {
		return nil
	}
	out := &target.Launch{Kind: target.LaunchKind(l.s.Launch.Kind), Processes: 1}
	path := l.s.At("launch") + "/processes_per_node"
	if v, ok := b.amount(l, path, l.s.Launch.Processes); ok {
		if out.Processes = int(v); v != math.Trunc(v) || v > mostPerNode || v*float64(max(asks.Nodes, 1)) > mostProcesses {
			b.bad(l, path, "bad-amount", fmt.Sprintf("a stage cannot run %v processes on each of %d nodes", v, max(asks.Nodes, 1)), fmt.Sprintf("write a whole number from 1 to %d, for at most %d processes in all", mostPerNode, mostProcesses))
		}
	}
	if out.Kind == target.LaunchEnv && out.Processes == 1 {
		return nil
	}
	return out
}

func (c *compiler) amount(l *layer, at, text string) (float64, bool) {
	text, ok := c.now(l, at, text)
	if !ok || text == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		c.bad(l, at, "bad-amount", fmt.Sprintf("%q is not an amount", text), "write a number above zero")
		return 0, false
	}
	return v, true
}

func withImage(e *target.Environment, image string) *target.Environment {
	if e == nil {
		e = &target.Environment{}
	}
	one := *e
	one.Image = image
	return &one
}
