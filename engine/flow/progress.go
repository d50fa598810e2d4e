package flow

import (
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Skipped is the state of a stage that was not meant to run.
const Skipped target.State = "skipped"

// Progress is a run as it stands, and its record once it has ended.
type Progress struct {
	Run       string          `json:"run"`
	Pipeline  string          `json:"pipeline"`
	Workspace string          `json:"workspace,omitempty"`
	Plan      string          `json:"plan"`   // the plan's digest
	Store     string          `json:"store"`  // the artifact store that holds what the run made
	Status    target.State    `json:"status"` // running, succeeded, failed or cancelled
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended,omitzero"`
	Params    map[string]any  `json:"params"`
	Stages    []StageProgress `json:"stages"` // in the plan's order
	Outputs   map[string]any  `json:"outputs"`
	Error     string          `json:"error,omitempty"` // of the run itself, not of a stage
}

// StageProgress is a stage as it stands.
type StageProgress struct {
	Name     string             `json:"name"`
	Status   target.State       `json:"status"`
	Target   string             `json:"target,omitempty"`
	Attempts int                `json:"attempts"`
	Started  time.Time          `json:"started,omitzero"`
	Ended    time.Time          `json:"ended,omitzero"`
	Exit     *int               `json:"exit,omitempty"` // nil until a job has ended
	Signal   int                `json:"signal,omitempty"`
	Cause    target.Cause       `json:"cause,omitempty"`
	Error    string             `json:"error,omitempty"` // what happened, for people
	Why      string             `json:"why,omitempty"`   // why it was skipped, or waits
	At       diag.Pos           `json:"at"`              // where it is written; of the key to change once it failed
	Outputs  map[string]any     `json:"outputs,omitempty"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Notes    []string           `json:"notes,omitempty"`
	Tail     []string           `json:"tail,omitempty"` // the last lines of the log, when it failed
	Job      string             `json:"job,omitempty"`  // id of the current or last attempt
	Rank     int                `json:"rank,omitempty"` // the rank that decided the end
	Place    *target.Target     `json:"place,omitempty"`
	Log      target.Ref         `json:"log,omitempty"`
	Secrets  []workers.Secret   `json:"secrets,omitempty"` // that the job was given; where they are, not what
	URL      string             `json:"url,omitempty"`     // of the endpoint
	Answer   any                `json:"answer,omitempty"`
}

// Stage returns the stage named name, or nil.
func (p *Progress) Stage(name string) *StageProgress {
	for i := range p.Stages {
		if p.Stages[i].Name == name {
			return &p.Stages[i]
		}
	}
	return nil
}

func newProgress(in Input, now time.Time) *Progress {
	p := &Progress{
		Run: in.Run, Pipeline: in.Plan.Pipeline, Workspace: in.Plan.Workspace, Plan: in.Plan.Digest, Store: in.Store,
		Status: target.Running, Started: now, Params: in.Plan.Params, Outputs: map[string]any{},
		Stages: make([]StageProgress, len(in.Plan.Stages)),
	}
	for i, s := range in.Plan.Stages {
		p.Stages[i] = StageProgress{Name: s.Name, Status: target.Waiting, At: s.At}
	}
	return p
}

// values is what expressions may see of the named stages.
func (r *run) values(names []string) map[string]any {
	stages := map[string]any{}
	for _, n := range names {
		s := r.progress.Stages[r.index[n]]
		metrics := map[string]any{}
		for _, m := range r.plan.Stages[r.index[n]].Metrics {
			if v, ok := s.Metrics[m.Name]; ok {
				metrics[m.Name] = v
			}
		}
		stages[n] = map[string]any{"status": string(s.Status), "outputs": orEmpty(s.Outputs), "metrics": metrics}
	}
	return map[string]any{
		"params": r.plan.Params,
		"run":    map[string]any{"id": r.in.Run, "pipeline": r.plan.Pipeline},
		"stages": stages,
	}
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func needNames(needs []plan.Need) []string {
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = n.Stage
	}
	return names
}
