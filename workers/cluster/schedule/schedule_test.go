package schedule

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A thousand nodes for two hours: thousands of jobs, machines that are taken away, and
// a driver that is killed at every tenth look.
func TestAThousandNodes(t *testing.T) {
	for _, seed := range []uint64{1, rand.Uint64()} {
		w := newWorld(t, seed, Limits{Min: 5, Max: 1000, Idle: 2 * time.Minute, GPUs: 4, Memory: 64})
		for range 240 {
			w.tick(30*time.Second, 0.1, func(c *Cluster) {
				for range w.r.IntN(16) {
					w.come(c, 60)
				}
				if w.r.IntN(10) == 0 {
					w.takeAway(c)
				}
			})
		}
		w.settle(30 * time.Second)
		w.finished()
		t.Logf("seed %d: %v", seed, w)
		if w.most < 1000 || w.kills == 0 || w.taken == 0 || w.together < 2 {
			t.Errorf("seed %d asks too little: %v", seed, w)
		}
	}
}

// Any order of what can happen to a small cluster.
func TestAnythingMayHappen(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(r, "max")
		l := Limits{Min: rapid.IntRange(0, most).Draw(r, "min"), Max: most, Idle: time.Duration(rapid.IntRange(0, 300).Draw(r, "idle")) * time.Second}
		l.GPUs, l.Memory = rapid.IntRange(0, 4).Draw(r, "gpus"), int64(rapid.IntRange(0, 64).Draw(r, "memory"))
		for i := range l.GPUs * most * rapid.IntRange(0, 1).Draw(r, "of one machine") {
			l.Devices = append(l.Devices, string(rune('a'+i)))
		}
		w := newWorld(r, rapid.Uint64().Draw(r, "seed"), l)
		for range rapid.IntRange(1, 80).Draw(r, "ticks") {
			what := rapid.IntRange(0, 4).Draw(r, "what")
			w.tick(time.Duration(rapid.IntRange(0, 900).Draw(r, "step"))*time.Second, 0.2, func(c *Cluster) {
				switch what {
				case 0, 1:
					w.come(c, most)
				case 2:
					w.takeAway(c)
				case 3:
					c.Hold("", w.now)
					c.Resize(rapid.IntRange(0, 8).Draw(r, "size"), w.now)
				case 4:
					c.Hold("short of memory", w.now)
				}
			})
		}
		w.settle(time.Minute)
		w.finished()
	})
}

var start = time.Unix(1_000_000_000, 0)

// ready is a cluster whose nodes are all there and free.
func ready(nodes int, l Limits) *Cluster {
	c := &Cluster{Limits: l}
	c.Resize(nodes, start)
	for _, n := range c.Nodes {
		c.Arrived(n.Name, start)
	}
	return c
}

func on(c *Cluster, id string) int { return len(c.Find(id).On) }

// A large job that waits keeps the nodes that come free, and small ones do not overtake.
func TestALargeJobIsNotStarved(t *testing.T) {
	c := ready(3, Limits{Max: 3, Idle: time.Hour})
	c.Enqueue("long", 1, 0, start)
	c.Decide(start, nil)
	c.Enqueue("large", 3, 0, start.Add(time.Second))
	c.Enqueue("small", 1, 0, start.Add(2*time.Second))
	c.Decide(start.Add(3*time.Second), nil)
	if on(c, "long") != 1 || on(c, "large") != 0 || on(c, "small") != 0 {
		t.Fatalf("got %+v", c.Jobs)
	}
	c.Ended("long", start.Add(time.Minute))
	c.Decide(start.Add(time.Minute), nil)
	if on(c, "large") != 3 || on(c, "small") != 0 {
		t.Errorf("got %+v", c.Jobs)
	}
}

// Priority comes before age, and is worth an hour of it.
func TestPriorityAges(t *testing.T) {
	c := ready(0, Limits{Max: 1})
	c.Enqueue("low", 1, -1, start)
	c.Enqueue("old", 1, 0, start)
	c.Enqueue("soon", 1, 1, start.Add(59*time.Minute))
	c.Enqueue("late", 1, 1, start.Add(61*time.Minute))
	var order []string
	for _, j := range c.Jobs {
		order = append(order, j.ID)
	}
	if got, want := strings.Join(order, ", "), "soon, old, late, low"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A job that may not start now keeps nobody waiting, and one that is too large for the
// cluster as it has become does not either.
func TestWhoCannotStartIsPassedOver(t *testing.T) {
	c := ready(1, Limits{Max: 1, Idle: time.Hour})
	c.Enqueue("huge", 2, 0, start)
	c.Enqueue("locked", 1, 0, start)
	c.Enqueue("next", 1, 0, start)
	c.Decide(start, func(id string) bool { return id != "locked" })
	if on(c, "huge") != 0 || on(c, "locked") != 0 || on(c, "next") != 1 {
		t.Errorf("got %+v", c.Jobs)
	}
}

// No node is made for a job that could not start with it.
func TestItGrowsOnlyForWhatCanStart(t *testing.T) {
	c := ready(2, Limits{Max: 4, Idle: time.Hour})
	c.Enqueue("pair", 2, 0, start)
	c.Decide(start, nil)
	c.Enqueue("three", 3, 0, start)
	c.Decide(start, nil)
	if len(c.Nodes) != 2 {
		t.Errorf("it has %d nodes", len(c.Nodes))
	}
	c.Ended("pair", start)
	c.Decide(start, nil)
	if len(c.Nodes) != 3 || c.Grew.Why != "job three waits for 3 nodes" || c.Grew.Nodes != 1 {
		t.Errorf("it has %d nodes, grew %+v", len(c.Nodes), c.Grew)
	}
}

func TestItShrinksWhenIdle(t *testing.T) {
	c := ready(3, Limits{Min: 1, Max: 3, Idle: time.Minute})
	c.Decide(start.Add(59*time.Second), nil)
	if len(c.Due()) != 0 {
		t.Errorf("due before it was idle: %+v", c.Due())
	}
	c.Decide(start.Add(time.Minute), nil)
	due := c.Due()
	if len(due) != 2 || due[0].Do != Remove || c.Shrank.Nodes != 2 || c.Shrank.Why != "idle for 1m0s" {
		t.Fatalf("due: %+v, shrank %+v", due, c.Shrank)
	}
	for _, a := range due {
		c.Vanished(a.Node, start.Add(2*time.Minute))
	}
	if got := c.NodeTime(start.Add(3 * time.Minute)); got != 7*time.Minute {
		t.Errorf("the nodes have existed for %v", got)
	}
}

// Of a job whose node is taken away nothing goes on; its other nodes serve others.
func TestATakenNodeEndsItsJob(t *testing.T) {
	c := ready(2, Limits{Max: 2, Idle: time.Hour})
	c.Enqueue("pair", 2, 0, start)
	c.Decide(start, nil)
	c.Vanished("n1", start)
	c.Decide(start, nil)
	if due := c.Due(); len(due) != 1 || due[0].Do != Stop || due[0].Job.ID != "pair" {
		t.Fatalf("due: %+v", due)
	}
	c.Told("pair")
	if len(c.Due()) != 0 {
		t.Errorf("due: %+v", c.Due())
	}
	c.Ended("pair", start)
	c.Enqueue("next", 1, 0, start)
	c.Decide(start, nil)
	if got := c.Find("next").On; len(got) != 1 || got[0] != "n2" {
		t.Errorf("the next one is on %q", got)
	}
}

// The nodes of a job that is preempted leave with it.
func TestTakenNodesLeave(t *testing.T) {
	c := ready(2, Limits{Max: 2, Idle: time.Hour})
	c.Enqueue("one", 1, 0, start)
	c.Decide(start, nil)
	c.Take("one", start)
	c.Ended("one", start)
	if due := c.Due(); len(due) != 1 || due[0].Do != Remove {
		t.Errorf("due: %+v", due)
	}
}

// While a cluster is held, one job after another gives its nodes back, the youngest first,
// and none starts.
func TestAHeldClusterGivesNodesBack(t *testing.T) {
	c := ready(2, Limits{Max: 3, Idle: time.Hour})
	c.Enqueue("old", 1, -1, start)
	c.Enqueue("young", 1, 0, start)
	c.Decide(start, nil)
	c.Enqueue("next", 1, 0, start)
	for range 2 {
		c.Hold("short of memory", start)
		c.Decide(start, nil)
	}
	if !c.Find("young").Stopping || c.Find("old").Stopping || on(c, "next") != 0 || len(c.Nodes) != 2 {
		t.Errorf("got %+v, %+v", c.Jobs, c.Nodes)
	}
	c.Ended("young", start)
	c.Hold("short of memory", start)
	if !c.Find("old").Stopping || c.Shrank.Why != "the nodes of job old were taken away: short of memory" {
		t.Errorf("got %+v, %+v", c.Jobs, c.Shrank)
	}
	c.Ended("old", start)
	c.Vanished("n1", start)
	c.Vanished("n2", start)
	c.Hold("", start)
	c.Decide(start, nil)
	if len(c.Nodes) != 1 {
		t.Errorf("got %+v", c.Nodes)
	}
}
