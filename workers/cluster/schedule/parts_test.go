package schedule

import (
	"slices"
	"testing"
	"time"
)

// four is a limit of nodes with four GPUs each.
func four(nodes int) Limits {
	return Limits{Max: nodes, Idle: time.Hour, GPUs: 4, CPUs: 8, Memory: 64}
}

func part(gpus int) *Part {
	return &Part{GPUs: gpus, CPUs: float64(2 * gpus), Memory: int64(16 * gpus)}
}

// Jobs that ask for some of a node's GPUs are side by side, each with its own, on as few nodes
// as they fit on; who needs a whole node has it alone.
func TestJobsShareANode(t *testing.T) {
	c := ready(0, four(3))
	for id, gpus := range map[string]int{"one": 1, "three": 3, "two": 2} {
		c.EnqueuePart(id, 1, part(gpus), -gpus, start) // the smallest first
	}
	c.Decide(start, nil)
	if len(c.Nodes) != 2 || c.Grew.Why != "job one waits for 1 GPU, and 2 jobs behind it" {
		t.Fatalf("for six GPUs: %+v, %+v", c.Nodes, c.Grew)
	}
	for _, n := range c.Nodes {
		c.Arrived(n.Name, start)
	}
	c.Decide(start, nil)
	if one, two, three := c.Find("one"), c.Find("two"), c.Find("three"); !slices.Equal(one.Slots, []int{0}) || !slices.Equal(two.Slots, []int{1, 2}) || !slices.Equal(three.Slots, []int{0, 1, 2}) || one.On[0] != two.On[0] || one.On[0] == three.On[0] {
		t.Fatalf("got %+v", c.Jobs)
	}
	if taken, of := c.Taken(); taken != 6 || of != 8 {
		t.Errorf("%d of %d GPUs are taken", taken, of)
	}
	// Both nodes have one left. The next one comes where it fits, whoever has left meanwhile.
	c.Ended("two", start)
	c.EnqueuePart("tight", 1, part(1), 0, start)
	c.EnqueuePart("wide", 1, part(3), 0, start.Add(1))
	c.Decide(start, nil)
	if tight, wide := c.Find("tight"), c.Find("wide"); tight.On[0] != c.Find("three").On[0] || !slices.Equal(tight.Slots, []int{3}) || wide.On[0] != c.Find("one").On[0] || !slices.Equal(wide.Slots, []int{1, 2, 3}) {
		t.Errorf("got %+v", c.Jobs)
	}
	c.Enqueue("whole", 1, 0, start.Add(2))
	c.Decide(start, nil)
	if len(c.Nodes) != 3 || on(c, "whole") != 0 {
		t.Errorf("a job that needs all of a node: %+v, %+v", c.Find("whole"), c.Nodes)
	}
}

// Cores and memory count, too.
func TestPartsHaveCoresAndMemory(t *testing.T) {
	c := ready(1, four(1))
	c.EnqueuePart("large", 1, &Part{GPUs: 1, CPUs: 1, Memory: 60}, 0, start)
	c.EnqueuePart("small", 1, part(1), 0, start)
	c.Decide(start, nil)
	if on(c, "large") != 1 || on(c, "small") != 0 {
		t.Errorf("got %+v", c.Jobs)
	}
	c.Ended("large", start)
	c.Decide(start, nil)
	if on(c, "small") != 1 {
		t.Errorf("got %+v", c.Jobs)
	}
}

// Of those that share a node one may be ended, and the others keep it. It is free, and may
// leave, when nobody has a part of it.
func TestASharedNodeStaysForTheOthers(t *testing.T) {
	c := ready(1, four(1))
	c.EnqueuePart("one", 1, part(2), 0, start)
	c.EnqueuePart("other", 1, part(2), 0, start)
	c.Decide(start, nil)
	c.Take("one", start)
	c.Ended("one", start)
	if n := c.Nodes[0]; n.Phase != Ready || n.Going || !n.Free.IsZero() || c.Find("other").Stopping {
		t.Errorf("got %+v", c.Nodes)
	}
	c.Ended("other", start.Add(time.Minute))
	if n := c.Nodes[0]; n.busy() || !n.Free.Equal(start.Add(time.Minute)) {
		t.Errorf("got %+v", c.Nodes)
	}
	c.EnqueuePart("a", 1, part(1), 0, start)
	c.EnqueuePart("b", 1, part(1), 0, start)
	c.Decide(start, nil)
	c.Vanished("n1", start)
	if !c.Find("a").Stopping || !c.Find("b").Stopping {
		t.Errorf("a node vanished under %+v", c.Jobs)
	}
}

// Nodes with another number of GPUs than they are to have now leave when they are free; a job
// that no node could hold any more keeps nobody waiting.
func TestNodesGetOtherGPUs(t *testing.T) {
	c := ready(2, four(3))
	c.EnqueuePart("held", 1, part(1), 1, start)
	c.Decide(start, nil)
	c.EnqueuePart("three", 1, part(3), 0, start)
	c.EnqueuePart("one", 1, part(1), 0, start.Add(1))
	c.Limits.GPUs = 2
	c.Decide(start, nil)
	if due := c.Due(); len(due) != 3 || on(c, "three") != 0 || on(c, "one") != 0 || c.Shrank.Why != "its nodes have 2 GPUs each now" {
		t.Fatalf("due %+v, jobs %+v, %+v", due, c.Jobs, c.Shrank)
	}
	c.Arrived("n3", start)
	c.Decide(start, nil)
	if got := c.Find("one").On; !slices.Equal(got, []string{"n3"}) {
		t.Errorf("it is on %q", got)
	}
}
