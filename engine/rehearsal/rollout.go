package rehearsal

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// served is the version that serves every endpoint when a rehearsal begins.
const served = "before"

// What is measured when the test does not say: many requests, and nothing wrong.
const (
	manyRequests = 10_000
	fewMillis    = 10
)

// routing is what an endpoint would have answered to a look.
func (p *play) routing(run string, q workers.Routing) workers.Routed {
	t, known := p.moved[q.Endpoint]
	if !known {
		t.Shares = []target.Share{{Deployment: served, Weight: 100}}
	}
	if s := q.Split; s != nil {
		t = workers.Traffic{Split: s.ID, Run: s.Run, Stage: s.Stage, Why: s.Why}
		for _, x := range s.Shares {
			if x.Weight > 0 {
				t.Shares = append(t.Shares, x)
			}
		}
	}
	p.moved[q.Endpoint] = t
	got := workers.Routed{Traffic: t, State: target.Succeeded, Figures: map[string]target.Figures{}}
	m := p.measured(p.unit(run, q.Deployment), strings.TrimPrefix(t.Split, q.Deployment+"."))
	for id := range q.Since {
		if got.Figures[id] = figures(m); id != q.Deployment {
			was, _ := m["before"].(map[string]any)
			got.Figures[id] = figures(was)
		}
	}
	return got
}

// measured is what the test says of a step: "1", "2" and so on, or what comes after
// the last.
func (p *play) measured(u unit, step string) map[string]any {
	all := p.result(u).Measured
	if len(all) == 0 {
		return nil
	}
	n, err := strconv.Atoi(step)
	if err != nil {
		n = len(all) // the watch
	}
	return all[min(max(n, 1), len(all))-1]
}

// figures are numbers as a target would give them.
func figures(said map[string]any) target.Figures {
	number := func(name string, otherwise float64) float64 {
		if v, ok := said[name]; ok {
			return float(v)
		}
		return otherwise
	}
	f := target.Figures{Requests: int64(number("requests", manyRequests)), Rejected: int64(number("rejected", 0))}
	f.Errors = int64(math.Round(number("error_rate", 0) * float64(f.Requests)))
	f.P50, f.P95, f.P99 = number("p50_ms", fewMillis), number("p95_ms", fewMillis), number("p99_ms", fewMillis)
	f.Compared = f.Requests
	f.Agreed = int64(math.Round(number("agreement", 1) * float64(f.Compared)))
	reported, _ := said["reported"].(map[string]any)
	for name, v := range reported {
		if f.Reported == nil {
			f.Reported = map[string]float64{}
		}
		f.Reported[name] = float(v)
	}
	return f
}

// measured reports whether the case says what a check asks for.
func (j *judge) measured(stage string, ref []string) bool {
	said := func(r schema.Result) bool {
		for _, m := range r.Measured {
			var v any = m
			for _, name := range ref[1:] {
				below, _ := v.(map[string]any)
				v = below[name]
			}
			if v == nil {
				return false
			}
		}
		return len(r.Measured) > 0
	}
	for _, m := range j.t.Mocks(j.c) {
		if m.Stage != stage {
			continue
		}
		for _, r := range m.Attempts {
			if !said(r) {
				return false
			}
		}
		return len(m.Attempts) > 0 || said(m.Result)
	}
	return false
}

// wants is how a test says what is measured: "reported: { confidence: 0.5 }".
func wants(names []string) string {
	if len(names) == 1 {
		return names[0] + ": 0.5"
	}
	return fmt.Sprintf("%s: { %s }", names[0], wants(names[1:]))
}
