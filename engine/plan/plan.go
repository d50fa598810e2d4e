// Package plan is a pipeline with nothing left to decide: plain data, the same
// bytes for the same input, safe to store and to replay.
package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// Version is the form of Plan that this program writes and understands.
const Version = 1

// Plan is what one run will do. It holds no secret and no absolute path.
type Plan struct {
	Version   int            `json:"version"`
	Digest    string         `json:"digest"` // of everything else in the plan
	Pipeline  string         `json:"pipeline"`
	Workspace string         `json:"workspace,omitempty"`
	Profile   string         `json:"profile,omitempty"`
	Params    map[string]any `json:"params"`
	Group     *Group         `json:"concurrency,omitempty"` // runs of the same group wait for each other
	Stages    []Stage        `json:"stages"`                // each after everything that it needs; those of `finally` last
	Outputs   []Var          `json:"outputs,omitempty"`
}

// Stage is one step and everything that is known about it before the run.
// Exactly one of Script, Command, Batch, Deploy, Approve and Nested is set.
type Stage struct {
	Name       string              `json:"name"`
	Finally    bool                `json:"finally,omitempty"`
	At         diag.Pos            `json:"at"` // where it is written
	Needs      []Need              `json:"needs,omitempty"`
	If         *Condition          `json:"if,omitempty"`     // nil: always, once what it needs succeeded
	Frames     []Frame             `json:"frames,omitempty"` // the templates that it is made of, the one that the pipeline uses first
	Fan        *Fan                `json:"fan,omitempty"`    // it runs over several items
	Sweep      *Sweep              `json:"sweep,omitempty"`  // it runs as trials, of which the best counts
	Until      *Until              `json:"until,omitempty"`  // it runs until something holds
	Group      *Group              `json:"concurrency,omitempty"`
	Targets    []target.Target     `json:"targets,omitempty"` // in order of preference; at least one for what runs or deploys
	Script     string              `json:"script,omitempty"`
	Command    []Value             `json:"command,omitempty"`
	Batch      *Batch              `json:"batch,omitempty"`
	Deploy     *Deploy             `json:"deploy,omitempty"`
	Approve    *Approve            `json:"approve,omitempty"`
	Nested     *Nested             `json:"pipeline,omitempty"`
	Env        []Var               `json:"env,omitempty"`
	Secrets    []Secret            `json:"secrets,omitempty"`
	Inputs     []Input             `json:"inputs,omitempty"`
	Outputs    []Output            `json:"outputs,omitempty"`
	Metrics    []Output            `json:"metrics,omitempty"`
	Models     []Var               `json:"models,omitempty"`    // what the registry keeps: the model's name, by output
	NoModels   bool                `json:"no_models,omitempty"` // the registry keeps nothing, whatever the job registers itself
	Code       target.Ref          `json:"code,omitempty"`
	Runtime    *target.Environment `json:"environment,omitempty"`
	Asks       target.Resources    `json:"resources"`
	Launch     *target.Launch      `json:"launch,omitempty"` // nil: one process on each node
	Timeout    Duration            `json:"timeout,omitempty"`
	Queue      Duration            `json:"queue_timeout,omitempty"`
	Priority   int                 `json:"priority,omitempty"` // see target.Job
	Grace      Duration            `json:"grace,omitempty"`
	Retry      Retry               `json:"retry"`
	Checkpoint *Checkpoint         `json:"checkpoint,omitempty"` // nil: it has none
	Cache      *Cache              `json:"cache,omitempty"`      // nil: results of earlier runs are not used
	Places     map[string]string   `json:"places,omitempty"`     // "line:column" of keys that a failure may point at, with "file:" before it when it is another than At's

	folder Folder // where Code is to come from; see Attach
}

// Need is a stage that must have ended before this one begins.
type Need struct {
	Stage string `json:"stage"`
	// Data: this one uses a result of that stage and cannot run when it was
	// skipped. Otherwise only the order matters, or a default was given.
	Data bool `json:"data,omitempty"`
}

// Condition decides during the run whether a stage runs.
type Condition struct {
	Expr  string `json:"expr,omitempty"`  // an expression; empty: Known is the answer
	Depth int    `json:"depth,omitempty"` // see Value
	// Known is the answer when params alone decide it.
	Known bool `json:"known,omitempty"`
	// Anyway: the condition asks about failures itself, with always() or
	// failed(), so it is evaluated even when something upstream did not succeed.
	Anyway bool `json:"anyway,omitempty"`
	// Item: it speaks of the item, so that each of a stage with Fan is asked.
	Item bool `json:"item,omitempty"`
}

// Value is known now, or an expression that is evaluated when its stage begins.
type Value struct {
	Known any    `json:"known,omitempty"`
	Expr  string `json:"expr,omitempty"` // text with ${{ }} in it
	// Depth is how many of the stage's frames the expression lies in: 0 sees what
	// the pipeline sees, 1 the parameters of the first frame, and so on.
	Depth int `json:"depth,omitempty"`
}

// Frame is a template that a stage is made of: the values of its parameters.
type Frame struct {
	Template string         `json:"template"` // its name
	Known    map[string]any `json:"known"`
	Late     []Late         `json:"late,omitempty"` // those that the run decides; see Late
}

// Late is a parameter whose value is known only during the run. Its expression lies
// outside of what has the parameter.
type Late struct {
	Param schema.Param `json:"param"`
	Value
}

// Fan is what a stage runs over: Items, or the list that List gives.
type Fan struct {
	Name     string `json:"name"`            // "matrix" or "each": what the item is called in expressions
	Items    []Item `json:"items,omitempty"` // known before the run
	List     *Value `json:"list,omitempty"`
	Parallel int    `json:"parallel,omitempty"` // how many at once; 0: any number
}

// Item is one thing that a stage runs for.
type Item struct {
	Value any    `json:"value"`         // of a matrix: an object
	Own   *Place `json:"own,omitempty"` // nil: as the stage says
}

// Place is what is decided before the run and may differ between combinations of a
// matrix.
type Place struct {
	Targets []target.Target  `json:"targets"`
	Asks    target.Resources `json:"resources"`
	Launch  *target.Launch   `json:"launch,omitempty"`
	Image   string           `json:"image,omitempty"`
	Group   *Group           `json:"concurrency,omitempty"`
}

// Until says how often a stage runs, and what for.
type Until struct {
	When     Value    `json:"when"` // sees the stage's own results
	Attempts int      `json:"attempts"`
	Every    Duration `json:"every"`
}

// Group bounds how many at once run of what has the same name.
type Group struct {
	Name  string `json:"group"`
	Limit int    `json:"limit"`
}

// Approve waits for a person.
type Approve struct {
	By      []string `json:"by,omitempty"` // user names; empty: anyone
	Message *Value   `json:"message,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// Nested is a pipeline that a stage runs. Its plan lacks the parameters in Late.
type Nested struct {
	Plan *Plan  `json:"plan"`
	Late []Late `json:"late,omitempty"`
}

// Secret says where the value of a variable is kept. Exactly one of Env, File and
// Store is set.
type Secret struct {
	Var   string `json:"var"`
	Name  string `json:"name"`
	Env   string `json:"env,omitempty"`
	File  string `json:"file,omitempty"` // relative to the workspace, or with ~/
	Store bool   `json:"store,omitempty"`
}

// Cache lets a stage use results of an earlier run.
type Cache struct {
	MaxAge Duration `json:"max_age,omitempty"` // 0: any age
}

// Var is a named value.
type Var struct {
	Name string `json:"name"`
	Value
}

// Input is a value or, when Artifact is set, the name of some content. With List it
// is a list of such names, and delivered as a folder that holds them by number.
type Input struct {
	Name     string `json:"name"`
	Artifact bool   `json:"artifact,omitempty"`
	List     bool   `json:"list,omitempty"`
	Model    *Model `json:"model,omitempty"` // it is one of the registry
	Value
}

// Output is a name and the type of what is expected: an artifact's or a value's.
type Output struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Deploy is a model to serve, as far as it is known before the run.
type Deploy struct {
	Endpoint  string         `json:"endpoint"`
	Model     *Value         `json:"model,omitempty"`
	Named     *Model         `json:"named,omitempty"` // Model is one of the registry
	Score     string         `json:"score,omitempty"`
	Script    string         `json:"script,omitempty"`
	Sample    *target.Sample `json:"sample,omitempty"`
	Instances int            `json:"instances"`
	Health    string         `json:"health"`
	Path      string         `json:"path"`
	Ready     Duration       `json:"ready"`
	Rollout   *Rollout       `json:"rollout,omitempty"` // nil: all requests move as soon as it is ready
	Serving   *Serving       `json:"serving,omitempty"` // nil: nothing is said
	Group     *Group         `json:"group,omitempty"`   // of all that deploy to the endpoint: one after the other
}

// Retry says how often and on what causes a stage is tried again.
type Retry struct {
	Attempts int      `json:"attempts"` // in all; at least 1
	Backoff  Duration `json:"backoff,omitempty"`
	On       []string `json:"on,omitempty"` // empty: any cause but cancelling
	// Budgets are the attempts that a cause is worth, beside Attempts and On.
	Budgets map[string]int `json:"budgets,omitempty"`
	// Grow is how many times as much memory is asked for after running out of it; 0: as much.
	Grow float64 `json:"grow_memory,omitempty"`
}

// Checkpoint is where a stage leaves what another attempt can go on from.
type Checkpoint struct {
	Path string `json:"path"` // a folder in the folder that the stage runs in
	Keep int    `json:"keep"` // how many of what is in it are kept, the newest
}

// Duration is a time.Duration that reads "10m0s" in JSON.
type Duration time.Duration

// MarshalText writes d as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Stage returns the stage named name, or nil.
func (p *Plan) Stage(name string) *Stage {
	for i := range p.Stages {
		if p.Stages[i].Name == name {
			return &p.Stages[i]
		}
	}
	return nil
}

// JSON returns the plan's one form: the same bytes for the same plan.
func (p *Plan) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is read by people: >= stays >=
	e.SetIndent("", "  ")
	p.encode(e)
	return b.Bytes()
}

// compact is the plan without blanks, for machines.
func (p *Plan) compact() []byte {
	var b bytes.Buffer
	p.encode(json.NewEncoder(&b))
	return b.Bytes()
}

// Size is how many bytes the plan takes as the input of a workflow.
func (p *Plan) Size() int { return len(p.compact()) }

func (p *Plan) encode(e *json.Encoder) {
	if err := e.Encode(p); err != nil {
		panic(fmt.Sprintf("plan of %q is not plain data: %v", p.Pipeline, err)) // a mistake of ours: all fields are plain
	}
}
