package schedule

import (
	"slices"
	"time"
)

// Enqueue adds a job that needs nodes. One that is known already stays as it is.
func (c *Cluster) Enqueue(id string, nodes, priority int, now time.Time) {
	c.EnqueuePart(id, nodes, nil, priority, now)
}

// EnqueuePart is Enqueue for a job that needs a part of one node, unless that is nil.
func (c *Cluster) EnqueuePart(id string, nodes int, part *Part, priority int, now time.Time) {
	if c.Has(id) {
		return
	}
	c.Came++
	j := Job{ID: id, Nodes: max(nodes, 1), Part: part, Priority: priority, Queued: now, Serial: c.Came}
	at, _ := slices.BinarySearchFunc(c.Jobs, j, before)
	c.Jobs = slices.Insert(c.Jobs, at, j)
}

// Ended says that nothing of a job is alive: its nodes are free, or it waits no longer.
func (c *Cluster) Ended(id string, now time.Time) {
	c.Jobs = slices.DeleteFunc(c.Jobs, func(j Job) bool { return j.ID == id })
	c.vacate(id, now)
}

// vacate frees all that a job has.
func (c *Cluster) vacate(id string, now time.Time) {
	for i := range c.Nodes {
		if n := &c.Nodes[i]; n.let(id) && !n.busy() {
			n.Free = now
			if n.Going {
				n.Phase = Leaving
			}
		}
	}
}

// Arrived says that a node that was asked for is there.
func (c *Cluster) Arrived(name string, now time.Time) {
	if n := c.node(name); n != nil && n.Phase == Creating {
		n.Phase, n.Free = Ready, now
		if c.Limits.Lent {
			n.Created = now
		}
		if n.Going {
			n.Phase = Leaving
		}
	}
}

// Vanished says that a node exists no longer, because it left or without anybody having
// asked for it. The jobs that had it are ended.
func (c *Cluster) Vanished(name string, now time.Time) {
	n := c.node(name)
	if n == nil {
		return
	}
	if n.Phase != Leaving {
		c.Shrank = Change{At: now, Nodes: 1, Why: "node " + name + " was taken away"}
	}
	for _, id := range n.Has() {
		if j := c.Find(id); j != nil {
			j.Stopping = true
		}
	}
	c.Spent += c.time(*n, now)
	c.Nodes = slices.DeleteFunc(c.Nodes, func(n Node) bool { return n.Name == name })
}

// Take takes the nodes of a job away: the job is ended, and they leave after it. One that it
// shares with others stays for them.
func (c *Cluster) Take(id string, now time.Time) {
	j := c.Find(id)
	if j == nil || j.Waits() || j.Stopping {
		return
	}
	j.Stopping = true
	for _, name := range j.On {
		if n := c.node(name); n != nil && len(n.Has()) == 1 {
			n.Going = true
		}
	}
	c.Shrank = Change{At: now, Nodes: len(j.On), Why: "the nodes of job " + id + " were taken away"}
}

// Hold keeps jobs from being given nodes, and takes the nodes of the one that came last
// away, unless another is ending for that already. Without a reason it ends.
func (c *Cluster) Hold(why string, now time.Time) {
	c.Held = why
	last := -1
	for i, j := range c.Jobs {
		if j.Stopping || why == "" {
			return
		}
		if !j.Waits() && (last < 0 || j.Serial > c.Jobs[last].Serial) {
			last = i
		}
	}
	if last < 0 {
		return
	}
	id := c.Jobs[last].ID
	c.Take(id, now)
	c.Shrank.Why = "the nodes of job " + id + " were taken away: " + why
}

// Resize makes the cluster one of so many nodes now, within its limits. Nodes that are too
// many leave, those with a job after its end. Later it grows and shrinks as ever.
func (c *Cluster) Resize(nodes int, now time.Time) {
	nodes = min(max(nodes, c.Limits.Min), c.Limits.Max)
	stay := c.count(stays)
	if stay < nodes {
		c.grow(min(nodes-stay, c.room()), "it was asked to have "+count(nodes, "node"), now)
	}
	// Those without a job first.
	for _, free := range []bool{true, false} {
		for i := range c.Nodes {
			if n := &c.Nodes[i]; stay > nodes && stays(*n) && !n.busy() == free {
				n.Going = true
				if n.Phase == Ready && free {
					n.Phase = Leaving
				}
				stay--
				c.Shrank = Change{At: now, Nodes: c.Shrank.since(now) + 1, Why: "it was asked to have " + count(nodes, "node")}
			}
		}
	}
}

// Leave lets a node go as soon as it has no job.
func (c *Cluster) Leave(name, why string, now time.Time) {
	n := c.node(name)
	if n == nil || !stays(*n) {
		return
	}
	n.Going = true
	if n.Phase == Ready && !n.busy() {
		n.Phase = Leaving
	}
	c.Shrank = Change{At: now, Nodes: c.Shrank.since(now) + 1, Why: why}
}

// Begun says that a job was certainly started on its nodes.
func (c *Cluster) Begun(id string) {
	if j := c.Find(id); j != nil {
		j.Begun = true
	}
}

// Return has a job wait again, at its old place, that was not begun on its nodes.
func (c *Cluster) Return(id string, now time.Time) {
	j := c.Find(id)
	if j == nil || j.Begun || j.Stopping {
		return
	}
	j.On, j.Slots = nil, nil
	c.vacate(id, now)
}

// Told says that a job was asked to end because of a node that is taken away.
func (c *Cluster) Told(id string) {
	if j := c.Find(id); j != nil {
		j.Told = true
	}
}
