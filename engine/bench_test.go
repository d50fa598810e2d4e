package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"
)

// BenchmarkRun measures whole runs of stages that do nothing, on a server that
// is up: the time that the engine adds.
func BenchmarkRun(b *testing.B) {
	o := options(b, nil, time.Minute)
	e := open(b, o)
	for _, shape := range []struct {
		name string
		plan *plan.Plan
	}{
		{"one", scripts("true")},
		{"chain-100", scripts(repeat(100)...)},
		{"fan-100", fan(100)},
	} {
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				id := start(b, e, o, shape.plan)
				if p := wait(b, e, id); p.Status != target.Succeeded {
					b.Fatalf("%+v", p)
				}
			}
		})
	}
}

// BenchmarkStart measures a first run from nothing: the engine has to start.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		o := options(b, nil, time.Minute)
		b.StartTimer()
		e, err := engine.Open(context.Background(), o)
		if err != nil {
			b.Fatal(err)
		}
		if p := wait(b, e, start(b, e, o, scripts("true"))); p.Status != target.Succeeded {
			b.Fatalf("%+v", p)
		}
		e.Close()
	}
}

func repeat(n int) []string {
	ss := make([]string, n)
	for i := range ss {
		ss[i] = "true"
	}
	return ss
}

// fan is n stages side by side and one that needs them all.
func fan(n int) *plan.Plan {
	p := scripts(repeat(n + 1)...)
	last := &p.Stages[n]
	last.Needs = nil
	for i := range n {
		p.Stages[i].Needs = nil
		last.Needs = append(last.Needs, plan.Need{Stage: fmt.Sprintf("s%d", i+1)})
	}
	return p
}
