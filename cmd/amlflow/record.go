package main

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// runRecord is a run as machines read it: the same object from `run -o json`,
// `wait -o json` and `status -o json`. Keys may be added, never changed. Times are
// RFC 3339; what there is none of is null.
type runRecord struct {
	Run       string         `json:"run"`
	Pipeline  string         `json:"pipeline"`
	Workspace string         `json:"workspace"`
	Status    target.State   `json:"status"`
	Started   *time.Time     `json:"started"`
	Ended     *time.Time     `json:"ended"`
	Params    map[string]any `json:"params"`
	Stages    stageRecords   `json:"stages"`
	Outputs   map[string]any `json:"outputs"`
	Error     *string        `json:"error"`
	Plan      string         `json:"plan"`
	RetryOf   string         `json:"retry_of,omitempty"` // the run whose good stages it keeps
	Why       string         `json:"why,omitempty"`      // it waits
	Gone      []engine.Gone  `json:"gone,omitempty"`     // what is no longer kept of what it made
}

type stageRecord struct {
	Status   target.State       `json:"status"`
	Target   *string            `json:"target"`
	Attempts int                `json:"attempts"`
	Started  *time.Time         `json:"started"`
	Ended    *time.Time         `json:"ended"`
	Exit     *int               `json:"exit"`
	Outputs  map[string]any     `json:"outputs"`
	Metrics  map[string]float64 `json:"metrics"`
	Error    *string            `json:"error"`

	Cause  target.Cause `json:"cause,omitempty"`
	Signal int          `json:"signal,omitempty"`
	Rank   int          `json:"rank,omitempty"`
	Why    string       `json:"why,omitempty"`
	Notes  []string     `json:"notes,omitempty"`
	Tail   []string     `json:"tail,omitempty"`
	URL    string       `json:"url,omitempty"`
	Answer any          `json:"answer,omitempty"`
	At     diag.Pos     `json:"at"`

	Because  string            `json:"because,omitempty"`
	Reused   *workers.Reused   `json:"reused,omitempty"`
	Fresh    string            `json:"fresh,omitempty"`
	Approval *flow.Approval    `json:"approval,omitempty"`
	Rollout  *flow.Rollout     `json:"rollout,omitempty"`
	Count    *flow.Count       `json:"count,omitempty"`
	Label    string            `json:"item,omitempty"`
	Items    []stageRecord     `json:"items,omitempty"`
	Lists    map[string]any    `json:"metric_lists,omitempty"`
	Models   map[string]string `json:"models,omitempty"` // how the registry knows its outputs
	Pipeline *runRecord        `json:"pipeline,omitempty"`

	Sweep *sweepRecord `json:"sweep,omitempty"`
	Trial *trialRecord `json:"trial,omitempty"`
}

// sweepRecord is what a stage with a sweep has beside its trials, which are its items.
type sweepRecord struct {
	Metric   string         `json:"metric"`
	Maximize bool           `json:"maximize"`
	Trials   int            `json:"trials"`         // that there may be; 0: no bound
	Best     string         `json:"best,omitempty"` // its name: "tune[7]"
	Settings map[string]any `json:"settings,omitempty"`
	Over     string         `json:"over,omitempty"` // the limit that ended it
}

// trialRecord is what a trial has beside what any item has.
type trialRecord struct {
	Number   int            `json:"number"`
	Settings map[string]any `json:"settings"`
	Value    *float64       `json:"value"`
	Steps    float64        `json:"steps"`
}

// stageRecords is a JSON object in the order of the plan.
type stageRecords []namedStage

type namedStage struct {
	name string
	stageRecord
}

// MarshalJSON writes {NAME: {…}, …}.
func (ss stageRecords) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, s := range ss {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(s.name)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(s.stageRecord)
		if err != nil {
			return nil, err
		}
		b.Write(append(append(name, ':'), text...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func recordOf(p *flow.Progress) runRecord {
	r := runRecord{
		Run: p.Run, Pipeline: p.Pipeline, Workspace: p.Workspace, Status: p.Status, Plan: p.Plan, RetryOf: p.Of,
		Started: when(p.Started), Ended: when(p.Ended), Params: p.Params, Outputs: p.Outputs, Error: text(sentence(p)), Why: p.Why,
	}
	if r.Outputs == nil {
		r.Outputs = map[string]any{}
	}
	for i := range p.Stages {
		r.Stages = append(r.Stages, namedStage{p.Stages[i].Name, stageOf(&p.Stages[i])})
	}
	return r
}

func stageOf(s *flow.StageProgress) stageRecord {
	r := stageRecord{
		Status: s.Status, Target: text(s.Target), Attempts: s.Attempts, Started: when(s.Started), Ended: when(s.Ended), Exit: s.Exit,
		Outputs: s.Outputs, Metrics: s.Metrics, Error: text(s.Error), Cause: s.Cause, Signal: s.Signal, Rank: s.Rank,
		Why: s.Why, Notes: s.Notes, Tail: s.Tail, URL: s.URL, Answer: s.Answer, At: s.At,
	}
	r.Rollout = s.Rollout
	r.Because, r.Reused, r.Fresh, r.Approval, r.Count, r.Label, r.Lists = s.Because, s.Reused, s.Fresh, s.Approval, s.Count, s.Label, s.Lists
	r.Models = s.Models
	if w := s.Sweep; w != nil {
		r.Sweep = &sweepRecord{Metric: w.Objective.Metric, Maximize: w.Objective.Maximize, Trials: w.Trials, Best: w.Best, Settings: w.Trial, Over: w.Over}
	}
	if t := s.Trial; t != nil {
		r.Trial = &trialRecord{Number: t.Number, Settings: t.Settings, Value: t.Value, Steps: t.Steps}
	}
	for i := range s.Items {
		r.Items = append(r.Items, stageOf(&s.Items[i]))
	}
	if s.Nested != nil {
		inner := recordOf(s.Nested)
		r.Pipeline = &inner
	}
	if r.Outputs == nil {
		r.Outputs = map[string]any{}
	}
	if r.Metrics == nil {
		r.Metrics = map[string]float64{}
	}
	return r
}

// when is a time, or null when it has not come.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
