// Package schedule decides how a managed cluster grows, shrinks and shares its nodes. It is
// pure: it reads no clock, asks no machine and keeps no files, so that a thousand nodes
// can be tried in a second.
//
// A Cluster is all that is known. Whoever drives it tells it what has happened (Enqueue,
// Ended, Arrived, Vanished, Take, Resize), lets it Decide, makes the result durable, and
// does what is Due. What is due follows from the cluster alone and may be done any
// number of times: whoever dies half way is followed by somebody who does it again.
//
// The rules:
//
//   - A node has one job at a time, or several of which each has a part of its GPUs. A job of
//     several nodes gets all of them in one decision, or none.
//   - The queue is in the order of age, and a step of priority counts like Step of age. So
//     nothing waits for ever, however much comes with a higher priority.
//   - Nobody overtakes: nodes that are free while the first job waits for more of them are
//     kept for it.
//   - There are never more than Max nodes, those included that are on their way in or out,
//     and none is made for a job that could not start with it.
//   - While the cluster is held, nothing starts and nothing is made.
//   - Nodes that share the devices of one machine have some each, until they are gone.
//   - When nodes are to have more or fewer GPUs, those of before leave as soon as they are free.
//   - A node that nobody needs leaves after it was idle for so long; Min stay.
package schedule

import "time"

// Step is how much older one step of priority makes a job.
const Step = time.Hour

// Limits bound a cluster.
type Limits struct {
	Min  int           `json:"min"`  // nodes that stay when nobody needs them
	Max  int           `json:"max"`  // nodes that exist at most
	Idle time.Duration `json:"idle"` // how long a node stays that nobody needs
	// GPUs is how many of Devices each node has for itself. Without Devices the nodes are
	// machines of their own, each with its own GPUs.
	GPUs    int      `json:"gpus,omitzero"`
	Devices []string `json:"devices,omitempty"`
	// CPUs and Memory are what a node has of them, for those that share it; 0: nobody counts.
	CPUs   float64 `json:"cpus,omitzero"`
	Memory int64   `json:"memory,omitzero"`
	// Ends is why no node stays, for people; empty: they stay for Idle.
	Ends string `json:"ends,omitempty"`
	// Lent tells that nodes cost nothing before they are there: somebody else has a queue.
	Lent bool `json:"lent,omitzero"`
}

// Phase is where a node is in its life. It moves down the list only.
type Phase string

// The phases.
const (
	Creating Phase = "creating"
	Ready    Phase = "ready"
	Leaving  Phase = "leaving"
)

// Node is one machine of a cluster.
type Node struct {
	Name    string    `json:"name"` // never used again
	Phase   Phase     `json:"phase"`
	Created time.Time `json:"created"`          // when it was asked for, or was there if it is lent; it is paid from here on
	Free    time.Time `json:"free,omitzero"`    // since when it has been ready without a job
	Job     string    `json:"job,omitempty"`    // the job that has all of it
	Shared  []string  `json:"shared,omitempty"` // the jobs that have a part of it
	Going   bool      `json:"going,omitzero"`   // it leaves as soon as it has no job
	GPUs    []string  `json:"gpus,omitempty"`   // those of Limits.Devices that it has
	Of      int       `json:"of,omitzero"`      // how many GPUs it has: Limits.GPUs of when it was asked for
}

// Job is one that waits for nodes, or has them.
type Job struct {
	ID       string    `json:"id"`
	Nodes    int       `json:"nodes"` // how many it needs, all at once
	Priority int       `json:"priority,omitzero"`
	Queued   time.Time `json:"queued"`
	Serial   int       `json:"serial"`          // the order of those that came at the same time
	Part     *Part     `json:"part,omitempty"`  // what it needs of its node; nil: all
	On       []string  `json:"on,omitempty"`    // the nodes that it has, by rank
	Slots    []int     `json:"slots,omitempty"` // which GPUs of its node it has, if it has a part: from 0 on
	Begun    bool      `json:"begun,omitzero"`  // it was certainly started on them
	// Stopping says that a node is taken away from under it, Told that it was asked to end.
	Stopping bool `json:"stopping,omitzero"`
	Told     bool `json:"told,omitzero"`
}

// Waits reports whether the job has no nodes yet.
func (j Job) Waits() bool { return len(j.On) == 0 }

// before orders the queue.
func before(a, b Job) int {
	at := func(j Job) time.Time { return j.Queued.Add(-time.Duration(j.Priority) * Step) }
	if c := at(a).Compare(at(b)); c != 0 {
		return c
	}
	return a.Serial - b.Serial
}

// Change is the last time that a cluster grew or shrank.
type Change struct {
	At    time.Time `json:"at,omitzero"`
	Nodes int       `json:"nodes,omitzero"` // by how many
	Why   string    `json:"why,omitempty"`  // for people
}

// Cluster is all that is known of one cluster. Its zero value is one without nodes that
// may have none.
type Cluster struct {
	Limits Limits        `json:"limits"`
	Nodes  []Node        `json:"nodes,omitempty"`
	Jobs   []Job         `json:"jobs,omitempty"` // in the order of the queue
	Made   int           `json:"made"`           // how many nodes were ever asked for
	Came   int           `json:"came"`           // how many jobs ever came
	Spent  time.Duration `json:"spent"`          // the time of nodes that are gone
	Held   string        `json:"held,omitempty"` // why no job is given nodes now, for people; empty: they are
	Grew   Change        `json:"grew"`
	Shrank Change        `json:"shrank"`
}

// NodeTime is the time for which nodes have existed, all of them together, from when
// each was asked for until it was gone; from when it was there, if it is Lent.
func (c *Cluster) NodeTime(now time.Time) time.Duration {
	sum := c.Spent
	for _, n := range c.Nodes {
		sum += c.time(n, now)
	}
	return sum
}

// time is that of one node. One that is lent was there if it ever had a job or was free.
func (c *Cluster) time(n Node, now time.Time) time.Duration {
	if c.Limits.Lent && n.Phase != Ready && !n.busy() && n.Free.IsZero() {
		return 0
	}
	return now.Sub(n.Created)
}

// Has reports whether the job is in the queue or has nodes.
func (c *Cluster) Has(id string) bool { return c.Find(id) != nil }

// Find returns the job, or nil. It is valid until the cluster changes.
func (c *Cluster) Find(id string) *Job {
	for i := range c.Jobs {
		if c.Jobs[i].ID == id {
			return &c.Jobs[i]
		}
	}
	return nil
}

// Place returns how many jobs that wait come before this one, which waits.
func (c *Cluster) Place(id string) (ahead int) {
	for _, j := range c.Jobs {
		if j.ID == id {
			break
		}
		if j.Waits() {
			ahead++
		}
	}
	return ahead
}

// GPUs are the devices of the nodes that a job has, node by node.
func (c *Cluster) GPUs(id string) (all [][]string) {
	j := c.Find(id)
	if j == nil {
		return nil
	}
	for _, name := range j.On {
		var gpus []string
		if n := c.node(name); n != nil {
			gpus = n.GPUs
			if j.Part != nil {
				gpus = pick(n.GPUs, j.Slots)
			}
		}
		all = append(all, gpus)
	}
	return all
}

// pick are those devices of a node that are in the slots.
func pick(devices []string, slots []int) (all []string) {
	for _, slot := range slots {
		if slot < len(devices) {
			all = append(all, devices[slot])
		}
	}
	return all
}

func (c *Cluster) node(name string) *Node {
	for i := range c.Nodes {
		if c.Nodes[i].Name == name {
			return &c.Nodes[i]
		}
	}
	return nil
}
