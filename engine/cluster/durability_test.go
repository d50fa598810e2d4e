//go:build !slim

package cluster

import (
	"context"
	"fmt"
	"math/rand"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const queue = "test"

// counted is an activity that says how often it ran.
type counted struct{ runs atomic.Int32 }

func (c *counted) Step(context.Context) error { c.runs.Add(1); return nil }

// twoSteps waits for a word between them.
func twoSteps(ctx workflow.Context) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	if err := workflow.ExecuteActivity(ctx, "Step").Get(ctx, nil); err != nil {
		return "", err
	}
	var word string
	workflow.GetSignalChannel(ctx, "word").Receive(ctx, &word)
	return word, workflow.ExecuteActivity(ctx, "Step").Get(ctx, nil)
}

func dialled(t testing.TB, a Address) client.Client {
	t.Helper()
	c, err := Dial(testContext(t), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func work(t testing.TB, c client.Client, register ...func(worker.Registry)) worker.Worker {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	for _, r := range register {
		r(w)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

func TestKilledServerGoesOnWhereItWas(t *testing.T) {
	dir, steps := t.TempDir(), &counted{}
	register := func(r worker.Registry) { r.RegisterWorkflow(twoSteps); r.RegisterActivity(steps) }
	first := startChild(t, dir)
	c := dialled(t, first.address)
	w := work(t, c, register)
	ctx := testContext(t)
	if _, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "waiting", TaskQueue: queue}, twoSteps); err != nil {
		t.Fatal(err)
	}
	await(t, "the first step", func() bool { return steps.runs.Load() == 1 })
	acknowledged := startUntilKilled(t, c, first)
	w.Stop()
	c.Close()

	c = dialled(t, startServer(t, dir).Address())
	work(t, c, register)
	for _, id := range acknowledged {
		if _, err := c.DescribeWorkflowExecution(ctx, id, ""); err != nil {
			t.Errorf("run %q was acknowledged and is lost: %v", id, err)
		}
	}
	if err := c.SignalWorkflow(ctx, "waiting", "", "word", "go on"); err != nil {
		t.Fatal(err)
	}
	var word string
	if err := c.GetWorkflow(ctx, "waiting", "").Get(ctx, &word); err != nil || word != "go on" {
		t.Errorf("the workflow that waited ended with %q, %v", word, err)
	}
}

// startUntilKilled starts workflows as fast as it can while the server is killed, and returns those whose start it answered.
func startUntilKilled(t *testing.T, c client.Client, server *child) (acknowledged []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	enough, printed := make(chan struct{}), make(chan string, 1)
	go func() {
		<-enough
		printed <- server.kill(t)
		cancel() // nothing answers any more
	}()
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("burst-%d", i)
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: "nobody"}, twoSteps)
		if err != nil {
			break
		}
		if acknowledged = append(acknowledged, id); len(acknowledged) == 50 {
			close(enough)
		}
	}
	if said := <-printed; said != "" {
		t.Errorf("the server wrote to the terminal: %q", said)
	}
	return acknowledged
}

func TestKilledWhileStartingLeavesAUsableFolder(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	for range 3 {
		dir := t.TempDir()
		for range 8 { // a start takes some 60 ms after the process is up
			c := spawn(t, dir)
			time.Sleep(time.Duration(random.Intn(150)) * time.Millisecond)
			c.kill(t)
		}
		dialled(t, startServer(t, dir).Address())
	}
}
