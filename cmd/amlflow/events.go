package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// event is one line of `-o ndjson`. Type says which keys there are: "run" has
// pipeline and status, "stage" is a stage that changed, "metric" one number that
// a stage reported while it ran, "notice" words about the engine, and "end", the
// last one, has the record of the run as result.
type event struct {
	Time     time.Time    `json:"time"`
	Type     string       `json:"type"`
	Run      string       `json:"run,omitempty"`
	Pipeline string       `json:"pipeline,omitempty"`
	Stage    string       `json:"stage,omitempty"`
	Status   target.State `json:"status,omitempty"`
	Target   string       `json:"target,omitempty"`
	Attempt  int          `json:"attempt,omitempty"`
	Why      string       `json:"why,omitempty"`
	Error    string       `json:"error,omitempty"`
	Name     string       `json:"name,omitempty"`
	Value    *float64     `json:"value,omitempty"`
	Message  string       `json:"message,omitempty"`
	Result   *runRecord   `json:"result,omitempty"`
}

// eventView writes what happens as lines of JSON.
type eventView struct {
	p       *program
	seen    stages
	numbers reported
	began   map[string]int // attempts of stages that were told to run
	mu      sync.Mutex     // notices come from elsewhere
	err     error
}

func (v *eventView) emit(e event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	out := json.NewEncoder(v.p.out)
	out.SetEscapeHTML(false)
	if err := out.Encode(e); err != nil && v.err == nil {
		v.err = err
	}
}

func (v *eventView) notice(s string) { v.emit(event{Type: "notice", Message: s}) }

func (v *eventView) follow(ctx context.Context, e *engine.Engine, id string) (*flow.Progress, error) {
	v.numbers, v.began = reported{}, map[string]int{}
	begun := false
	return e.Watch(ctx, id, func(r *flow.Progress) {
		if !begun {
			begun = true
			v.emit(event{Time: r.Started, Type: "run", Run: id, Pipeline: r.Pipeline, Status: target.Running})
		}
		for i := range r.Stages {
			if s := &r.Stages[i]; s.Status == target.Running {
				v.measure(ctx, e, r, s)
			}
		}
		for _, s := range v.seen.changed(r) {
			if s.Status.Ended() && s.Log == "" {
				v.measure(ctx, e, r, s)
			}
			// A short stage has ended before anybody could see it run.
			if s.Status.Ended() && s.Attempts > v.began[s.Name] && s.Reused == nil {
				v.emit(event{Time: s.Started, Type: "stage", Run: id, Stage: s.Name, Status: target.Running, Target: s.Target, Attempt: s.Attempts})
			}
			if s.Status == target.Running {
				v.began[s.Name] = s.Attempts
			}
			v.emit(event{Time: moment(s), Type: "stage", Run: id, Stage: s.Name, Status: s.Status, Target: s.Target, Attempt: s.Attempts, Why: s.Why, Error: s.Error})
		}
	})
}

// measure emits what a stage has newly reported.
func (v *eventView) measure(ctx context.Context, e *engine.Engine, r *flow.Progress, s *flow.StageProgress) {
	for _, one := range v.numbers.look(ctx, e, s) {
		for _, name := range slices.Sorted(maps.Keys(one)) {
			x := one[name]
			v.emit(event{Type: "metric", Run: r.Run, Stage: s.Name, Name: name, Value: &x})
		}
	}
}

func (v *eventView) end(r *flow.Progress) error {
	rec := recordOf(r)
	v.emit(event{Time: r.Ended, Type: "end", Run: r.Run, Pipeline: r.Pipeline, Status: r.Status, Error: sentence(r), Result: &rec})
	return v.err
}
