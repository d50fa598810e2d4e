package schedule

import (
	"slices"
	"testing"
	"time"
)

// Nodes of one machine have different devices, and a node waits until enough are free.
func TestDevicesAreDealtOut(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	c := &Cluster{Limits: Limits{Max: 2, Idle: time.Minute, GPUs: 2, Devices: []string{"0", "1", "2", "3"}}}
	c.Enqueue("pair", 2, 0, now)
	c.Decide(now, nil)
	if got := [][]string{c.Nodes[0].GPUs, c.Nodes[1].GPUs}; !slices.Equal(got[0], []string{"0", "1"}) || !slices.Equal(got[1], []string{"2", "3"}) {
		t.Fatalf("they have %q", got)
	}
	for _, n := range []string{"n1", "n2"} {
		c.Arrived(n, now)
	}
	c.Decide(now, nil)
	if got := c.GPUs("pair"); len(got) != 2 || !slices.Equal(got[1], c.node(c.Find("pair").On[1]).GPUs) {
		t.Errorf("the job has %q", got)
	}
	c.Limits.Max = 3 // and no more devices
	c.Enqueue("third", 1, 0, now)
	c.Decide(now, nil)
	if len(c.Nodes) != 2 {
		t.Errorf("there are %d nodes for four devices", len(c.Nodes))
	}
	c.Vanished("n1", now)
	c.Decide(now, nil)
	if n := c.Nodes[len(c.Nodes)-1]; n.Name != "n3" || !slices.Equal(n.GPUs, []string{"0", "1"}) {
		t.Errorf("the next node is %+v", n)
	}
}

// A node that is lent is paid from when it is there, and one that nobody needs any more before
// it came is called back.
func TestLentNodesArePaidWhenTheyCome(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	after := func(d time.Duration) time.Time { return now.Add(d) }
	c := &Cluster{Limits: Limits{Max: 2, Idle: time.Minute, Lent: true}}
	c.Enqueue("one", 1, 0, now)
	c.Enqueue("two", 1, 0, now)
	c.Decide(now, nil)
	c.Arrived("n1", after(time.Hour))
	c.Decide(after(time.Hour), nil)
	if got := c.NodeTime(after(time.Hour + time.Minute)); got != time.Minute {
		t.Errorf("an hour in the queue of somebody else counts %v", got)
	}
	c.Ended("two", after(time.Hour))
	c.Decide(after(time.Hour), nil)
	if n := c.node("n2"); n.Phase != Leaving || c.Shrank.Nodes != 1 {
		t.Errorf("nobody needs it: %+v, %+v", n, c.Shrank)
	}
	c.Vanished("n2", after(2*time.Hour))
	if c.Spent != 0 {
		t.Errorf("a node that never came has cost %v", c.Spent)
	}
}

// A job that was not brought to its nodes waits again, at its old place.
func TestAJobIsReturned(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	c := &Cluster{Limits: Limits{Max: 1, Idle: time.Hour}}
	c.Enqueue("first", 1, 0, now)
	c.Decide(now, nil)
	c.Arrived("n1", now)
	c.Decide(now, nil)
	c.Enqueue("second", 1, 0, now.Add(time.Second))
	c.Return("first", now)
	if j := c.Find("first"); !j.Waits() || c.Place("first") != 0 || c.node("n1").Job != "" {
		t.Errorf("got %+v, %+v", j, c.Nodes)
	}
	c.Vanished("n1", now)
	if c.Find("first").Stopping {
		t.Error("it is stopped for a node that it does not have")
	}
	c.Decide(now, nil)
	c.Arrived("n2", now)
	c.Decide(now, nil)
	c.Begun("first")
	c.Return("first", now)
	if j := c.Find("first"); j.Waits() {
		t.Error("one that has begun is returned")
	}
}
