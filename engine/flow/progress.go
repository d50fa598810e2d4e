package flow

import (
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Skipped is the state of a stage that was not meant to run.
const Skipped target.State = "skipped"

// Queued begins the reason why a stage that was handed to its target waits there. The
// stage is running all the while: its job is there, and starts by itself.
const Queued = "queued: "

// Turn begins the reason why a stage waits that is to have a turn in a group. Mostly it
// has it in a moment.
const Turn = "waits for its turn"

// Progress is a run as it stands, and its record once it has ended.
type Progress struct {
	Run       string          `json:"run"`
	Of        string          `json:"retry_of,omitempty"` // the run whose good results it keeps
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
	Why       string          `json:"why,omitempty"`   // why it waits
	Turn      string          `json:"turn,omitempty"`  // the group in which it waits for its turn
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
	Turn     string             `json:"turn,omitempty"`  // the group in which it waits for its turn
	At       diag.Pos           `json:"at"`              // where it is written; of the key to change once it failed
	Outputs  map[string]any     `json:"outputs,omitempty"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Unit     string             `json:"unit,omitempty"`   // what a batch is counted in: "files"
	Models   map[string]string  `json:"models,omitempty"` // outputs that the registry knows: "digits@3"
	Notes    []string           `json:"notes,omitempty"`
	// Enlisted are models that the job has registered itself, through the tracking API.
	Enlisted []workers.Enlisted `json:"enlisted,omitempty"`
	Tail     []string           `json:"tail,omitempty"` // the last lines of the log, when it failed
	Job      string             `json:"job,omitempty"`  // id of the current or last attempt
	Rank     int                `json:"rank,omitempty"` // the rank that decided the end
	Place    *target.Target     `json:"place,omitempty"`
	Log      target.Ref         `json:"log,omitempty"`
	Logs     target.Ref         `json:"logs,omitempty"` // those of all ranks; see target.Results
	// History is all that was reported of metrics, and Tracked what was logged to MLflow.
	History target.Ref `json:"history,omitempty"`
	Tracked target.Ref `json:"tracked,omitempty"`
	// Checkpoint is what the next attempt begins from, and Resumed what this one did.
	Checkpoint target.Ref       `json:"checkpoint,omitempty"`
	Resumed    target.Ref       `json:"resumed_from,omitempty"`
	Secrets    []workers.Secret `json:"secrets,omitempty"` // that the job was given; where they are, not what
	URL        string           `json:"url,omitempty"`     // of the endpoint
	Answer     any              `json:"answer,omitempty"`

	Rollout  *Rollout        `json:"rollout,omitempty"`  // how requests move to what it deploys
	Because  string          `json:"because,omitempty"`  // what its condition saw, or who approved it
	Reused   *workers.Reused `json:"reused,omitempty"`   // the earlier run whose results it has
	Fresh    string          `json:"fresh,omitempty"`    // why it could not reuse any
	Approval *Approval       `json:"approval,omitempty"` // what it asks a person
	Label    string          `json:"label,omitempty"`    // of an item: which one it is
	Count    *Count          `json:"count,omitempty"`    // of the items of a stage that runs over several
	Items    []StageProgress `json:"items,omitempty"`    // each; of many, some of those that failed
	Lists    map[string]any  `json:"lists,omitempty"`    // metrics of the items
	Sweep    *SweepProgress  `json:"sweep,omitempty"`    // of a stage that tunes
	Trial    *Trial          `json:"trial,omitempty"`    // of an item of one that does
	Nested   *Progress       `json:"pipeline,omitempty"` // the pipeline that it runs
	Child    string          `json:"child,omitempty"`    // the workflow that runs it now

	Begun    time.Time `json:"begun,omitzero"`     // when the current or last attempt was
	Next     time.Time `json:"next,omitzero"`      // when it is tried again
	Failures int       `json:"failures,omitempty"` // attempts that failed, in this round
	Rounds   int       `json:"rounds,omitempty"`   // of `until` that were not enough
	// Spent are attempts that failed and were paid from budgets, by their name; Grown
	// is how often memory was not enough.
	Spent map[string]int `json:"spent,omitempty"`
	Grown int            `json:"grown,omitempty"`
}

// Approval is a question to people.
type Approval struct {
	By      []string  `json:"by,omitempty"`
	Message string    `json:"message,omitempty"`
	Until   time.Time `json:"until,omitzero"`
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

// Find returns the stage that a path names: "train", the item "train[3]", or
// "nested/train" for a stage of the pipeline that another runs. It is nil when there
// is none.
func (p *Progress) Find(path string) *StageProgress {
	name, rest, deeper := strings.Cut(path, "/")
	base, number, isItem := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	s := p.Stage(base)
	if s != nil && isItem {
		s = s.item(base + "[" + number + "]")
	}
	switch {
	case s == nil || !deeper:
		return s
	case s.Nested == nil:
		return nil
	}
	return s.Nested.Find(rest)
}

func (s *StageProgress) item(name string) *StageProgress {
	for i := range s.Items {
		if s.Items[i].Name == name {
			return &s.Items[i]
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
	if r.given != nil {
		return r.given
	}
	stages := map[string]any{}
	for _, n := range names {
		stages[n] = r.results(n)
	}
	return map[string]any{
		"params": r.plan.Params,
		"run":    map[string]any{"id": r.root(), "pipeline": r.plan.Pipeline},
		"stages": stages,
	}
}

// results is what expressions see of one stage.
func (r *run) results(name string) map[string]any {
	s := r.progress.Stages[r.index[name]]
	if fan, ok := r.fans[name]; ok {
		return map[string]any{"status": string(s.Status), "outputs": fan.outputs, "metrics": fan.metrics, "items": fan.items}
	}
	if s.Sweep != nil {
		return map[string]any{"status": string(s.standing()), "outputs": orEmpty(s.Outputs), "metrics": s.numbers(r.plan.Stages[r.index[name]].Metrics), "trial": orEmpty(s.Sweep.Trial)}
	}
	return map[string]any{"status": string(s.standing()), "outputs": orEmpty(s.Outputs), "metrics": s.numbers(r.plan.Stages[r.index[name]].Metrics)}
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
