package schedule

import (
	"slices"
	"time"
)

// Parts of nodes.
//
// A job of one node that asks for some of its GPUs has a part of it: so many of them, with
// the cores and the memory that it asks for, or that go with them. Others have the rest. A
// job without a Part has its nodes to itself.

// Part is what a job has of a node.
type Part struct {
	GPUs   int     `json:"gpus"`
	CPUs   float64 `json:"cpus,omitzero"`
	Memory int64   `json:"memory,omitzero"` // bytes
}

// busy reports whether a job has the node, or a part of it.
func (n Node) busy() bool { return n.Job != "" || len(n.Shared) > 0 }

// Has lists the jobs that have the node, or a part of it.
func (n Node) Has() []string {
	if n.Job != "" {
		return []string{n.Job}
	}
	return n.Shared
}

// let frees what a job has of the node, and reports whether it had something.
func (n *Node) let(id string) bool {
	if n.Job == id {
		n.Job = ""
		return true
	}
	at := slices.Index(n.Shared, id)
	if at >= 0 {
		n.Shared = slices.Delete(n.Shared, at, at+1)
	}
	return at >= 0
}

// all is what a node has that nobody uses.
func (c *Cluster) all(gpus int) Part {
	return Part{GPUs: gpus, CPUs: c.Limits.CPUs, Memory: c.Limits.Memory}
}

// byID are all jobs, for whoever looks for many of them. It is valid until one comes or goes.
func (c *Cluster) byID() map[string]*Job {
	all := make(map[string]*Job, len(c.Jobs))
	for i := range c.Jobs {
		all[c.Jobs[i].ID] = &c.Jobs[i]
	}
	return all
}

// left is what nobody has of a node, and which of its GPUs are taken.
func (c *Cluster) left(n Node, jobs map[string]*Job) (left Part, taken []int) {
	left = c.all(n.Of)
	if n.Job != "" {
		return Part{}, nil
	}
	for _, id := range n.Shared {
		if j := jobs[id]; j != nil && j.Part != nil {
			left, taken = left.without(*j.Part), append(taken, j.Slots...)
		}
	}
	left.GPUs = n.Of - len(taken)
	return left, taken
}

func (p Part) without(q Part) Part {
	return Part{GPUs: p.GPUs - q.GPUs, CPUs: p.CPUs - q.CPUs, Memory: p.Memory - q.Memory}
}

// Taken counts the GPUs of nodes that are there, and those of them that nobody else can have.
func (c *Cluster) Taken() (taken, of int) {
	jobs := c.byID()
	for _, n := range c.Nodes {
		if n.Phase == Ready {
			left, _ := c.left(n, jobs)
			taken, of = taken+n.Of-left.GPUs, of+n.Of
		}
	}
	return taken, of
}

// fits reports whether a part is within what is left of a node. One of which nobody has
// anything has room for each, though the limits have become smaller since the job came.
func (c *Cluster) fits(p, left Part, unused bool) bool {
	const dust = 1e-9 // what sums of halves and thirds differ by
	return p.GPUs <= left.GPUs && (unused ||
		(c.Limits.CPUs == 0 || p.CPUs <= left.CPUs+dust) && (c.Limits.Memory == 0 || p.Memory <= left.Memory))
}

// host is the node on which a part is best: the one that has the least room for it, so that
// others stay whole. Of those that nobody uses, whole lists the best first.
func (c *Cluster) host(p Part, whole []int, jobs map[string]*Job) (best int, ok bool) {
	room := 0
	for i, n := range c.Nodes {
		if n.Phase != Ready || n.Going || len(n.Shared) == 0 {
			continue
		}
		if left, _ := c.left(n, jobs); c.fits(p, left, false) && (!ok || left.GPUs < room) {
			best, room, ok = i, left.GPUs, true
		}
	}
	if ok {
		return best, true
	}
	at := slices.IndexFunc(whole, func(i int) bool { return p.GPUs <= c.Nodes[i].Of })
	if at < 0 {
		return 0, false
	}
	return whole[at], true
}

// give gives a job a part of a node: the first GPUs of it that nobody has.
func (c *Cluster) give(j *Job, n *Node, jobs map[string]*Job) {
	_, taken := c.left(*n, jobs)
	for slot := 0; len(j.Slots) < j.Part.GPUs; slot++ {
		if !slices.Contains(taken, slot) {
			j.Slots = append(j.Slots, slot)
		}
	}
	j.On, n.Shared, n.Job = []string{n.Name}, append(n.Shared, j.ID), ""
	n.Free = time.Time{}
}

// possible reports whether the job could have what it needs, if it were alone.
func (c *Cluster) possible(j Job) bool {
	return j.Nodes <= c.Limits.Max && (j.Part == nil || j.Part.GPUs <= c.Limits.GPUs)
}

// stock counts the nodes that jobs need, and fills them with parts.
type stock struct {
	c     *Cluster
	nodes int
	rooms []Part // what is left of those of which parts are had
}

// add counts a job, and reports whether it is within the limits.
func (s *stock) add(j Job) bool {
	if j.Part != nil {
		if i := slices.IndexFunc(s.rooms, func(left Part) bool { return s.c.fits(*j.Part, left, false) }); i >= 0 {
			s.rooms[i] = s.rooms[i].without(*j.Part)
			return true
		}
	}
	if s.nodes+j.Nodes > s.c.Limits.Max {
		return false
	}
	s.nodes += j.Nodes
	if j.Part != nil {
		s.rooms = append(s.rooms, s.c.all(s.c.Limits.GPUs).without(*j.Part))
	}
	return true
}
