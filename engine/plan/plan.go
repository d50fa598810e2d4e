// Package plan is a pipeline with nothing left to decide: plain data, the same
// bytes for the same input, safe to store and to replay.
package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

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
	Stages    []Stage        `json:"stages"` // each after everything that it needs; those of `finally` last
	Outputs   []Var          `json:"outputs,omitempty"`
}

// Stage is one step and everything that is known about it before the run.
// Exactly one of Script, Command and Deploy is set.
type Stage struct {
	Name    string            `json:"name"`
	Finally bool              `json:"finally,omitempty"`
	At      diag.Pos          `json:"at"` // where it is written
	Needs   []Need            `json:"needs,omitempty"`
	If      *Condition        `json:"if,omitempty"` // nil: always, once what it needs succeeded
	Targets []target.Target   `json:"targets"`      // in order of preference; at least one
	Script  string            `json:"script,omitempty"`
	Command []Value           `json:"command,omitempty"`
	Deploy  *Deploy           `json:"deploy,omitempty"`
	Env     []Var             `json:"env,omitempty"`
	Inputs  []Input           `json:"inputs,omitempty"`
	Outputs []Output          `json:"outputs,omitempty"`
	Metrics []Output          `json:"metrics,omitempty"`
	Code    target.Ref        `json:"code,omitempty"`
	Asks    target.Resources  `json:"resources"`
	Timeout Duration          `json:"timeout,omitempty"`
	Grace   Duration          `json:"grace,omitempty"`
	Retry   Retry             `json:"retry"`
	Places  map[string]string `json:"places,omitempty"` // "line:column" of keys that a failure may point at
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
	Expr string `json:"expr,omitempty"` // an expression; empty: Known is the answer
	// Known is the answer when params alone decide it.
	Known bool `json:"known,omitempty"`
	// Anyway: the condition asks about failures itself, with always() or
	// failed(), so it is evaluated even when something upstream did not succeed.
	Anyway bool `json:"anyway,omitempty"`
}

// Value is known now, or an expression that is evaluated when its stage begins.
type Value struct {
	Known any    `json:"known,omitempty"`
	Expr  string `json:"expr,omitempty"` // text with ${{ }} in it
}

// Var is a named value.
type Var struct {
	Name string `json:"name"`
	Value
}

// Input is a value or, when Artifact is set, the name of some content.
type Input struct {
	Name     string `json:"name"`
	Artifact bool   `json:"artifact,omitempty"`
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
	Score     string         `json:"score,omitempty"`
	Script    string         `json:"script,omitempty"`
	Sample    *target.Sample `json:"sample,omitempty"`
	Instances int            `json:"instances"`
	Health    string         `json:"health"`
	Path      string         `json:"path"`
	Ready     Duration       `json:"ready"`
}

// Retry says how often and on what causes a stage is tried again.
type Retry struct {
	Attempts int      `json:"attempts"` // in all; at least 1
	Backoff  Duration `json:"backoff,omitempty"`
	On       []string `json:"on,omitempty"` // empty: any cause but cancelling
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
	if err := e.Encode(p); err != nil {
		panic(fmt.Sprintf("plan of %q is not plain data: %v", p.Pipeline, err)) // a mistake of ours: all fields are plain
	}
	return b.Bytes()
}
