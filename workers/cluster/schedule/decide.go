package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Decide gives nodes to jobs, asks for more nodes and lets others go. A job that may not
// start now, as may says, is passed over: it keeps nobody waiting. May is nil for all.
func (c *Cluster) Decide(now time.Time, may func(id string) bool) {
	c.refit(now)
	var waiting []int
	if c.Held == "" {
		waiting = c.place(c.waiting(may))
	}
	want := c.want(waiting)
	if have := c.count(stays); want > have && c.Held == "" {
		c.grow(min(want-have, c.room()), c.whyGrow(waiting), now)
	} else {
		c.shrink(have-want, now)
	}
}

// refit lets nodes go that have another number of GPUs than nodes are to have by now.
func (c *Cluster) refit(now time.Time) {
	for _, n := range c.Nodes {
		if n.Of != c.Limits.GPUs {
			c.Leave(n.Name, "its nodes have "+count(c.Limits.GPUs, "GPU")+" each now", now)
		}
	}
}

// waiting lists the jobs that wait for nodes and could have them.
func (c *Cluster) waiting(may func(id string) bool) (all []int) {
	for i, j := range c.Jobs {
		if j.Waits() && c.possible(j) && (may == nil || may(j.ID)) {
			all = append(all, i)
		}
	}
	return all
}

// place gives free nodes to the jobs in their order, until there are too few for the next
// one, and returns those that still wait.
func (c *Cluster) place(waiting []int) []int {
	if len(waiting) == 0 {
		return nil
	}
	free, jobs := c.free(), c.byID()
	for at, i := range waiting {
		j := &c.Jobs[i]
		if j.Part != nil {
			k, ok := c.host(*j.Part, free, jobs)
			if !ok {
				return waiting[at:]
			}
			c.give(j, &c.Nodes[k], jobs)
			free = slices.DeleteFunc(free, func(i int) bool { return i == k })
			continue
		}
		if len(free) < j.Nodes {
			return waiting[at:]
		}
		for _, k := range free[:j.Nodes] {
			n := &c.Nodes[k]
			n.Job, n.Free = j.ID, time.Time{}
			j.On = append(j.On, n.Name)
		}
		free = free[j.Nodes:]
	}
	return nil
}

// free lists the nodes that can have a job. Those that had one last come first, so that
// the others may become idle and leave.
func (c *Cluster) free() (all []int) {
	for i, n := range c.Nodes {
		if n.Phase == Ready && !n.busy() && !n.Going {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return c.Nodes[b].Free.Compare(c.Nodes[a].Free) })
	return all
}

// want is how many nodes the cluster should have: those with jobs, and what the next jobs
// need, as long as all of a job's nodes fit below Max.
func (c *Cluster) want(waiting []int) int {
	s, jobs := &stock{c: c}, c.byID()
	for _, n := range c.Nodes {
		if !stays(n) || !n.busy() {
			continue
		}
		s.nodes++
		if left, _ := c.left(n, jobs); left.GPUs > 0 {
			s.rooms = append(s.rooms, left)
		}
	}
	for _, i := range waiting {
		if !s.add(c.Jobs[i]) {
			break
		}
	}
	return max(s.nodes, c.Limits.Min)
}

// room is how many nodes may be made. Those that are leaving exist until they are gone.
func (c *Cluster) room() int { return max(c.Limits.Max-len(c.Nodes), 0) }

func (c *Cluster) grow(by int, why string, now time.Time) {
	made := 0
	for range by {
		gpus, ok := c.devices()
		if !ok {
			break
		}
		c.Made++
		made++
		c.Nodes = append(c.Nodes, Node{Name: "n" + strconv.Itoa(c.Made), Phase: Creating, Created: now, GPUs: gpus, Of: c.Limits.GPUs})
	}
	if made > 0 {
		c.Grew = Change{At: now, Nodes: made, Why: why}
	}
}

// devices are those for another node, if enough are free. There may be too few for a while
// after the limits have changed.
func (c *Cluster) devices() ([]string, bool) {
	if c.Limits.GPUs == 0 || len(c.Limits.Devices) == 0 {
		return nil, true
	}
	taken := map[string]bool{}
	for _, n := range c.Nodes {
		for _, d := range n.GPUs {
			taken[d] = true
		}
	}
	free := slices.DeleteFunc(slices.Clone(c.Limits.Devices), func(d string) bool { return taken[d] })
	if len(free) < c.Limits.GPUs {
		return nil, false
	}
	return free[:c.Limits.GPUs], true
}

func (c *Cluster) whyGrow(waiting []int) string {
	if len(waiting) == 0 {
		return fmt.Sprintf("it has at least %s", count(c.Limits.Min, "node"))
	}
	first := c.Jobs[waiting[0]]
	what := count(first.Nodes, "node")
	if first.Part != nil {
		what = count(first.Part.GPUs, "GPU")
	}
	why := fmt.Sprintf("job %s waits for %s", first.ID, what)
	if more := len(waiting) - 1; more > 0 {
		why += fmt.Sprintf(", and %s behind it", count(more, "job"))
	}
	return why
}

// shrink lets nodes go that nobody needs: those that were idle for long enough, the
// longest first, and at once what is more than Max.
func (c *Cluster) shrink(surplus int, now time.Time) {
	surplus -= c.recall(surplus, now)
	free := c.free()
	slices.Reverse(free)
	over := c.count(stays) - c.Limits.Max
	for _, i := range free {
		n := &c.Nodes[i]
		idle := now.Sub(n.Free) >= c.Limits.Idle
		if surplus <= 0 || !idle && over <= 0 {
			return
		}
		why := cmp.Or(c.Limits.Ends, "idle for "+c.Limits.Idle.String())
		if over > 0 {
			why = "it may have at most " + count(c.Limits.Max, "node")
		}
		n.Phase = Leaving
		c.Shrank = Change{At: now, Nodes: c.Shrank.since(now) + 1, Why: why}
		surplus, over = surplus-1, over-1
	}
}

// recall lets nodes go that have not come for as long as they might have been idle, and that
// nobody needs any more, and returns how many.
func (c *Cluster) recall(surplus int, now time.Time) (gone int) {
	for i := range c.Nodes {
		if n := &c.Nodes[i]; gone < surplus && n.Phase == Creating && stays(*n) && now.Sub(n.Created) >= c.Limits.Idle {
			n.Phase = Leaving
			c.Shrank = Change{At: now, Nodes: c.Shrank.since(now) + 1, Why: cmp.Or(c.Limits.Ends, "it had not come yet, and nobody needs it any more")}
			gone++
		}
	}
	return gone
}

// since is by how many nodes the cluster has changed at this very moment already.
func (h Change) since(now time.Time) int {
	if h.At.Equal(now) {
		return h.Nodes
	}
	return 0
}

// stays reports whether a node is there for more jobs, now or soon.
func stays(n Node) bool { return n.Phase != Leaving && !n.Going }

func (c *Cluster) count(is func(Node) bool) (k int) {
	for _, n := range c.Nodes {
		if is(n) {
			k++
		}
	}
	return k
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Act is a kind of thing to do.
type Act string

// What may be due.
const (
	Create Act = "create" // a node
	Remove Act = "remove" // a node
	Start  Act = "start"  // a job, on its nodes
	Stop   Act = "stop"   // a job: ask it to end, for a node is taken away
)

// Action is one thing to do, which must do no harm when it was done before.
type Action struct {
	Do   Act
	Node string // of Create and Remove
	Job  Job    // of Start and Stop
}

// Due lists what is to be done now, in this order.
func (c *Cluster) Due() (all []Action) {
	for _, j := range c.Jobs {
		switch {
		case j.Stopping && !j.Told:
			all = append(all, Action{Do: Stop, Job: j})
		case !j.Waits() && !j.Stopping && !j.Begun:
			all = append(all, Action{Do: Start, Job: j})
		}
	}
	for _, n := range c.Nodes {
		switch n.Phase {
		case Creating:
			all = append(all, Action{Do: Create, Node: n.Name})
		case Leaving:
			all = append(all, Action{Do: Remove, Node: n.Name})
		}
	}
	return all
}
