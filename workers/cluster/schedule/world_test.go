package schedule

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"
)

// world is what a cluster is about: machines that take their time or are taken away, jobs
// that run on them, and somebody who drives the cluster and is killed now and then. It
// has a clock of its own.
type world struct {
	t   rapid.TB
	r   *rand.Rand
	now time.Time

	saved []byte   // what the driver has made durable
	known *Cluster // the same, to be looked at

	machines map[string]time.Time // when each node is there, by name; absent: it does not exist
	jobs     map[string]*work
	unsure   []string       // submissions that nobody has confirmed; they are made again
	waiting  map[string]Job // those of known that wait
	paid     time.Duration  // what the nodes in known have existed for, counted tick by tick
	kills    int
	taken    int
	most     int // nodes at once
	together int // jobs on one node at once
}

// work is one job as the machines see it.
type work struct {
	nodes    int
	part     *Part
	slots    []int
	priority int
	takes    time.Duration
	starts   int
	on       []string
	ends     time.Time
	ended    bool
	cut      bool // asked to end early
}

func newWorld(t rapid.TB, seed uint64, l Limits) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1_000_000_000, 0), machines: map[string]time.Time{}, jobs: map[string]*work{}}
	w.save(&Cluster{Limits: l})
	return w
}

func (w *world) save(c *Cluster) {
	text, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.saved, w.known = text, c
	w.waiting = map[string]Job{}
	for _, j := range c.Jobs {
		if j.Waits() {
			w.waiting[j.ID] = j
		}
	}
}

func (w *world) load() *Cluster {
	c := &Cluster{}
	if err := json.Unmarshal(w.saved, c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// killed tells whether the driver dies here.
func (w *world) killed(chance float64) bool {
	if w.r.Float64() >= chance {
		return false
	}
	w.kills++
	return true
}

// tick is one round of a driver: look, decide, save, act. It may die between any two.
func (w *world) tick(step time.Duration, chance float64, ask func(c *Cluster)) {
	w.paid += time.Duration(len(w.known.Nodes)) * step
	w.now = w.now.Add(step)
	c := w.load()
	w.look(c)
	for _, id := range w.unsure {
		c.EnqueuePart(id, w.jobs[id].nodes, w.jobs[id].part, w.jobs[id].priority, w.now)
	}
	if ask != nil {
		ask(c)
	}
	c.Decide(w.now, nil)
	if w.killed(chance) {
		return
	}
	w.checkOrder(c)
	w.save(c)
	w.unsure = nil
	for _, a := range c.Due() {
		if w.killed(chance / 10) {
			return
		}
		w.act(c, a)
	}
	w.check()
}

// look tells the cluster how the machines and jobs are.
func (w *world) look(c *Cluster) {
	for _, j := range slices.Clone(c.Jobs) {
		if k := w.jobs[j.ID]; k != nil && k.starts > 0 && (k.cut || !w.now.Before(k.ends)) {
			k.ended = true
		}
		if k := w.jobs[j.ID]; k != nil && k.ended {
			c.Ended(j.ID, w.now)
		}
	}
	for _, n := range slices.Clone(c.Nodes) {
		there, exists := w.machines[n.Name]
		switch {
		case exists && n.Phase == Creating && !w.now.Before(there):
			c.Arrived(n.Name, w.now)
		case !exists && n.Phase != Creating:
			c.Vanished(n.Name, w.now)
		}
	}
}

func (w *world) act(c *Cluster, a Action) {
	switch a.Do {
	case Create:
		if _, there := w.machines[a.Node]; !there {
			w.machines[a.Node] = w.now.Add(time.Duration(w.r.IntN(300)) * time.Second)
		}
	case Remove:
		delete(w.machines, a.Node)
	case Start:
		if k := w.jobs[a.Job.ID]; k.starts == 0 {
			k.starts, k.on, k.slots, k.ends = 1, a.Job.On, a.Job.Slots, w.now.Add(k.takes)
		}
		c.Begun(a.Job.ID)
	case Stop:
		k := w.jobs[a.Job.ID]
		k.cut, k.ended = true, k.starts == 0 // one that never started ends at once
		c.Told(a.Job.ID)
	}
}

// checkOrder wants that nobody who could start is overtaken.
func (w *world) checkOrder(c *Cluster) {
	first := slices.IndexFunc(c.Jobs, func(j Job) bool { return j.Waits() && c.possible(j) })
	if first < 0 {
		return
	}
	for _, j := range c.Jobs[first+1:] {
		if _, waited := w.waiting[j.ID]; waited && !j.Waits() {
			w.t.Fatalf("job %s was given nodes, and %s, which came before it, still waits", j.ID, c.Jobs[first].ID)
		}
	}
}

// check holds what is so against what must be.
func (w *world) check() {
	c := w.known
	w.most = max(w.most, len(w.machines))
	if len(c.Nodes) > c.Limits.Max || len(w.machines) > c.Limits.Max {
		w.t.Fatalf("%d nodes are known and %d exist, at most %d may", len(c.Nodes), len(w.machines), c.Limits.Max)
	}
	has, parts := map[string]string{}, map[string][]string{}
	for id, k := range w.jobs {
		if k.starts == 0 || k.ended || k.cut {
			continue
		}
		if len(k.on) != k.nodes {
			w.t.Fatalf("job %s runs on %q, and needs %d nodes", id, k.on, k.nodes)
		}
		if k.part != nil && len(k.slots) != k.part.GPUs {
			w.t.Fatalf("job %s has the GPUs %v, and needs %d", id, k.slots, k.part.GPUs)
		}
		for _, n := range k.on {
			slots := k.slots
			if k.part == nil {
				slots = []int{-1} // all of it
			}
			for _, slot := range slots {
				for _, at := range []int{-1, slot} {
					if also := has[fmt.Sprint(n, at)]; also != "" && also != id {
						w.t.Fatalf("node %s has the jobs %s and %s at %d", n, also, id, at)
					}
				}
				if k.part != nil && slot >= w.known.Limits.GPUs {
					w.t.Fatalf("job %s has GPU %d of %d", id, slot, w.known.Limits.GPUs)
				}
				has[fmt.Sprint(n, slot)] = id
			}
			parts[n] = append(parts[n], id)
		}
	}
	for n, ids := range parts {
		sum := Part{}
		for _, id := range ids {
			k := w.jobs[id]
			if k.part == nil && len(ids) > 1 {
				w.t.Fatalf("job %s needs all of node %s, which has %q", id, n, ids)
			}
			if k.part != nil {
				sum.Memory += k.part.Memory
			}
		}
		if c.Limits.Memory > 0 && sum.Memory > c.Limits.Memory {
			w.t.Fatalf("the jobs %q of node %s need %d of memory together", ids, n, sum.Memory)
		}
		w.together = max(w.together, len(ids))
	}
	taken := map[string]string{}
	for _, n := range c.Nodes {
		for _, d := range n.GPUs {
			if taken[d] != "" {
				w.t.Fatalf("nodes %s and %s have device %s", n.Name, taken[d], d)
			}
			taken[d] = n.Name
		}
		if len(c.Limits.Devices) > 0 && len(n.GPUs) != c.Limits.GPUs {
			w.t.Fatalf("node %s has the devices %q", n.Name, n.GPUs)
		}
		for _, id := range n.Has() {
			if !slices.Contains(c.Find(id).On, n.Name) {
				w.t.Fatalf("node %s is kept for job %s, which does not have it", n.Name, id)
			}
		}
	}
	if got := c.NodeTime(w.now); got != w.paid {
		w.t.Fatalf("the nodes have existed for %v, and %v is counted", w.paid, got)
	}
}

// come submits a job of random size, mostly a small one.
func (w *world) come(c *Cluster, most int) {
	k := &work{nodes: 1, priority: w.r.IntN(3) - 1, takes: time.Duration(30+w.r.IntN(1200)) * time.Second}
	if w.r.IntN(4) == 0 {
		k.nodes = 1 + w.r.IntN(most)
	}
	if l := c.Limits; k.nodes == 1 && l.GPUs > 1 && w.r.IntN(4) > 0 {
		k.part = &Part{GPUs: 1 + w.r.IntN(l.GPUs-1)}
		k.part.Memory = l.Memory * int64(k.part.GPUs) / int64(l.GPUs)
		if w.r.IntN(4) == 0 {
			k.part.Memory = w.r.Int64N(l.Memory + 1)
		}
	}
	id := "j" + strconv.Itoa(len(w.jobs))
	w.jobs[id] = k
	w.unsure = append(w.unsure, id)
	c.EnqueuePart(id, k.nodes, k.part, k.priority, w.now)
}

// takeAway lets a machine vanish, or has the nodes of a job taken away.
func (w *world) takeAway(c *Cluster) {
	if len(c.Nodes) == 0 {
		return
	}
	n := c.Nodes[w.r.IntN(len(c.Nodes))]
	w.taken++
	if has := n.Has(); w.r.IntN(2) == 0 && len(has) > 0 {
		c.Take(has[w.r.IntN(len(has))], w.now)
	} else if n.Phase != Creating {
		delete(w.machines, n.Name)
	}
}

// settle goes on without new jobs and kills until nothing moves.
func (w *world) settle(step time.Duration) {
	w.t.Helper()
	for range 10_000 {
		w.tick(step, 0, func(c *Cluster) { c.Hold("", w.now) })
		idle := !slices.ContainsFunc(w.known.Nodes, func(n Node) bool { return n.Phase != Ready })
		if len(w.known.Jobs) == 0 && idle && len(w.known.Nodes) == w.known.Limits.Min {
			return
		}
	}
	w.t.Fatalf("it does not settle: %d nodes, %d jobs", len(w.known.Nodes), len(w.known.Jobs))
}

// finished wants that every job started once, and that nothing is left.
func (w *world) finished() {
	w.t.Helper()
	for id, k := range w.jobs {
		if !k.ended || k.starts != 1 && !k.cut {
			w.t.Errorf("job %s was started %d times, ended: %v", id, k.starts, k.ended)
		}
	}
	if len(w.machines) != w.known.Limits.Min {
		w.t.Errorf("%d machines are left, want %d", len(w.machines), w.known.Limits.Min)
	}
}

func (w *world) String() string {
	return fmt.Sprintf("%d jobs, at most %d nodes, %d kills, %d times nodes were taken away, up to %d jobs on one node, %.1f node-hours in %v",
		len(w.jobs), w.most, w.kills, w.taken, w.together, w.paid.Hours(), w.now.Sub(time.Unix(1_000_000_000, 0)))
}
