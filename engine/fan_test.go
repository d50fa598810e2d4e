package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// inside runs plans on a real server of this process, with the scripted driver.
func inside(t *testing.T) (client.Client, *dummy.Driver) {
	t.Helper()
	d := dummy.New()
	return insideWith(t, d), d
}

func insideWith(t *testing.T, d target.Driver) client.Client {
	t.Helper()
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	c, err := cluster.Dial(t.Context(), s.Address(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := worker.New(c, "q", worker.Options{MaxConcurrentActivityExecutionSize: 256})
	engine.RegisterWorkflows(w)
	engine.Activities(map[string]target.Driver{"local": d}, t.TempDir())(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return c
}

func ran(t *testing.T, c client.Client, id, text string) *flow.Progress {
	t.Helper()
	p := compiled(t, map[string]string{"pipeline.yaml": text}, map[string]target.Driver{"local": dummy.New()})
	return carried(t, c, flow.Input{Run: id, Plan: *p, Store: t.TempDir(), Control: "q"})
}

// carried is the record of a run that begins with in.
func carried(t *testing.T, c client.Client, in flow.Input) *flow.Progress {
	t.Helper()
	end, err := ended(t, c, in)
	got, err := engine.RecordIn(t.Context(), flow.Workflow, end, err)
	if got == nil {
		t.Fatal(err)
	}
	return got
}

// ended is what the workflow of a run leaves that begins with in.
func ended(t *testing.T, c client.Client, in flow.Input) (end json.RawMessage, err error) {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "amlflow-" + in.Run, TaskQueue: "q"}, flow.Workflow, in)
	if err != nil {
		t.Fatal(err)
	}
	err = run.Get(t.Context(), &end)
	return end, err
}

// Ten thousand items: each is done once, in several workflows, and the stage behind
// them has all of their results.
func TestTenThousandItems(t *testing.T) {
	c, d := inside(t)
	const n = 10_000
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "%d,", i)
	}
	begun := time.Now()
	p := ran(t, c, "many", fmt.Sprintf(`amlflow: v1
pipeline: p
stages:
  split: { run: 'outputs {"l": [%s]}', outputs: { l: list } }
  each: { each: "${{ stages.split.outputs.l }}", env: { I: "${{ each.item }}" }, run: 'outputs {"i": $I}', outputs: { i: integer } }
  sum: { run: ok, env: { SUM: "${{ sum(stages.each.outputs.i) }}" } }
`, strings.TrimSuffix(list.String(), ",")))
	t.Logf("%d items took %s", n, time.Since(begun).Round(time.Millisecond))
	if p.Status != target.Succeeded || p.Stage("each").Count == nil || p.Stage("each").Count.Succeeded != n {
		t.Fatalf("the run %s: %+v", p.Status, p.Stage("each"))
	}
	seen := map[string]int{}
	for _, j := range d.Jobs() {
		seen[j.ID]++
	}
	if len(seen) != n+2 {
		t.Errorf("%d jobs were submitted, want %d", len(seen), n+2)
	}
	for _, j := range d.Jobs() {
		if want := fmt.Sprint(n * (n - 1) / 2); j.ID == "many.sum.1" && j.Env["SUM"] != want {
			t.Errorf("the sum is %q, want %s", j.Env["SUM"], want)
		}
	}
}

// Stages of a group have their turns one after another, also across runs.
func TestGroupsGiveTurns(t *testing.T) {
	c, d := inside(t)
	const text = `amlflow: v1
pipeline: p
stages:
  a: { run: slow 30ms, concurrency: one }
  b: { run: slow 30ms then fail 1, concurrency: { group: one, limit: 1 } }
  all: { matrix: { n: [1, 2, 3] }, run: slow 30ms, concurrency: "${{ matrix.n == 2 ? 'other' : 'one' }}" }
`
	ends := make(chan *flow.Progress, 3)
	for i := range cap(ends) {
		go func() { ends <- ran(t, c, fmt.Sprint("g", i), text) }()
	}
	for range cap(ends) {
		p := <-ends
		for _, s := range p.Stages {
			if bad := s.Status != target.Succeeded; bad != (s.Name == "b") {
				t.Errorf("%s of %s: %s %s", s.Name, p.Run, s.Status, s.Error)
			}
		}
	}
	var one []span
	for id, times := range d.Times() {
		if !strings.Contains(id, ".all.2-") {
			one = append(one, span{id, times[0], times[1]})
		}
	}
	for i, a := range one {
		for _, b := range one[:i] {
			if a.from.Before(b.to) && b.from.Before(a.to) {
				t.Errorf("%s and %s ran at once", a.id, b.id)
			}
		}
	}
	if len(one) != 3*4 {
		t.Errorf("%d jobs ran, want %d", len(one), 3*4)
	}
}

type span struct {
	id       string
	from, to time.Time
}

// A run with a group of its own waits for another one.
func TestRunsOfAGroup(t *testing.T) {
	c, d := inside(t)
	text := "amlflow: v1\npipeline: p\nconcurrency: nightly\nstages:\n  a: { run: slow 50ms }\n  b: { needs: [a], run: slow 50ms }\n"
	ends := make(chan *flow.Progress, 2)
	for i := range cap(ends) {
		go func() { ends <- ran(t, c, fmt.Sprint("r", i), text) }()
	}
	for range cap(ends) {
		if p := <-ends; p.Status != target.Succeeded {
			t.Errorf("%s %s: %s", p.Run, p.Status, p.Error)
		}
	}
	at := d.Times()
	first, second := "r0", "r1"
	if at["r1.a.1"][0].Before(at["r0.a.1"][0]) {
		first, second = second, first
	}
	if at[second+".a.1"][0].Before(at[first+".b.1"][1]) {
		t.Errorf("%s began before %s had ended", second, first)
	}
}

// What is done once and what is done again when earlier results will do.
func TestResultsAreReused(t *testing.T) {
	c, d := inside(t)
	store := t.TempDir()
	run := func(id, value string, options ...func(*plan.Options)) *flow.Progress {
		t.Helper()
		text := fmt.Sprintf(`amlflow: v1
pipeline: p
stages:
  make: { cache: true, env: { X: %q }, run: "artifact a $X\noutputs {\"n\": 3}\nlog made", outputs: { a: file, n: integer } }
  use: { cache: true, inputs: { a: "${{ stages.make.outputs.a }}" }, run: ok }
`, value)
		p := compiled(t, map[string]string{"pipeline.yaml": text}, map[string]target.Driver{"local": dummy.New()})
		return carried(t, c, flow.Input{Run: id, Plan: *p, Store: store, Control: "q"})
	}
	if p := run("first", "1"); p.Stages[0].Reused != nil || p.Stages[0].Fresh != "it has no earlier results" {
		t.Errorf("the first run: %+v", p.Stages[0])
	}
	p := run("second", "1")
	for _, s := range p.Stages {
		if s.Reused == nil || s.Reused.Run != "first" || s.Status != target.Succeeded {
			t.Errorf("the second run did %s again: %+v", s.Name, s)
		}
	}
	if p.Stages[0].Outputs["n"] != 3.0 || p.Stages[0].Outputs["a"] == nil || p.Stages[0].Log == "" {
		t.Errorf("reused results are %+v", p.Stages[0])
	}
	p = run("third", "2")
	if p.Stages[0].Fresh != "the variable X changed since its last results" || p.Stages[1].Fresh != `the input "a" changed since its last results` {
		t.Errorf("the third run: %q, %q", p.Stages[0].Fresh, p.Stages[1].Fresh)
	}
	if got := len(d.Jobs()); got != 4 {
		t.Errorf("%d jobs ran, want 4", got)
	}
}
