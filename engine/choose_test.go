package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"
)

// leaving is a driver whose target "first" goes away with the first job that it takes.
type leaving struct {
	*dummy.Driver
	gone atomic.Bool
}

func (d *leaving) Check(ctx context.Context, t target.Target) error {
	if t.Name == "first" && d.gone.Load() {
		return errors.New("it has gone away")
	}
	return d.Driver.Check(ctx, t)
}

func (d *leaving) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	if t.Name == "first" {
		d.gone.Store(true)
		job.Script = "lost"
	}
	return d.Driver.Submit(ctx, t, job, in)
}

// An attempt after one that its target has lost goes where there is a target.
func TestAnotherTargetIsChosen(t *testing.T) {
	d := &leaving{Driver: dummy.New()}
	c := insideWith(t, d)
	files := map[string]string{
		"amlflow.yaml":  "amlflow: v1\nworkspace: w\ntargets: { first: { kind: local }, second: { kind: local } }\n",
		"pipeline.yaml": "amlflow: v1\npipeline: p\nstages:\n  a: { run: ok, target: [first, second], retry: { budgets: { lost: 1 }, backoff: 1ms } }\n",
	}
	p := compiled(t, files, map[string]target.Driver{"local": d})
	end := carried(t, c, flow.Input{Run: "moves", Plan: *p, Store: t.TempDir(), Control: "q"})
	a := end.Stage("a")
	if end.Status != target.Succeeded || a.Attempts != 2 || a.Target != "second" {
		t.Fatalf("the run %s: %+v", end.Status, a)
	}
	if notes := strings.Join(a.Notes, "; "); !strings.Contains(notes, `target "first" cannot be used now: it has gone away`) {
		t.Errorf("it says %q", notes)
	}
}
