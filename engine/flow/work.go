package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
)

// Evaluation asks for the values of expressions, by key. Keys are places in a
// stage: "if", "env/NAME", "inputs/NAME", "command/0", "deploy/model".
type Evaluation struct {
	If     string            `json:"if,omitempty"`
	Texts  map[string]string `json:"texts,omitempty"`
	Values map[string]any    `json:"values"`
	Failed bool              `json:"failed,omitempty"` // what failed() answers
	// Lenient leaves out results that have no value instead of giving an error.
	Lenient bool `json:"lenient,omitempty"`

	// Frames lie between what the pipeline sees and what a template's stage sees.
	// IfDepth and Depths say in how many of them an expression lies; see plan.Value.
	Frames  []plan.Frame   `json:"frames,omitempty"`
	IfDepth int            `json:"if_depth,omitempty"`
	Depths  map[string]int `json:"depths,omitempty"`
	Own     map[string]any `json:"own,omitempty"`  // more names: the stage's own results
	List    string         `json:"list,omitempty"` // what a stage runs over
	Late    []plan.Late    `json:"late,omitempty"` // parameters of the pipeline that a stage runs
}

// Evaluated answers an Evaluation.
type Evaluated struct {
	If      bool           `json:"if"`
	Results map[string]any `json:"results,omitempty"`
	Error   string         `json:"error,omitempty"`
	At      string         `json:"at,omitempty"` // the key that the error is about

	List    []any          `json:"list,omitempty"`
	Params  map[string]any `json:"params,omitempty"`  // for Late
	Because string         `json:"because,omitempty"` // what the condition saw
}

// evaluation is an Evaluation of u that asks nothing yet.
func (r *run) evaluation(u *unit) Evaluation {
	e := Evaluation{Values: r.values(needNames(u.s.Needs)), Failed: r.upstreamFailed(u.s), Frames: u.s.Frames}
	if u.item != nil {
		e.Values = with(e.Values, u.item)
	}
	return e
}

// resolve decides the unit's condition and evaluates what depends on the run.
func (r *run) resolve(w World, u *unit) (Evaluated, error) {
	s := u.s
	e := Evaluation{}
	e.Texts, e.Depths = pending(s)
	if s.If != nil && (u.number == 0 || s.If.Item) {
		if e.If, e.IfDepth = s.If.Expr, s.If.Depth; e.If == "" && !s.If.Known {
			return Evaluated{If: false}, nil
		}
	}
	if s.Nested != nil {
		e.Late = s.Nested.Late
	}
	if e.If == "" && len(e.Texts) == 0 && len(e.Late) == 0 {
		return Evaluated{If: true}, nil
	}
	about := r.evaluation(u)
	e.Values, e.Failed, e.Frames = about.Values, about.Failed, about.Frames
	return w.Evaluate(e)
}

// pending lists the texts of a stage that wait for the run, by key.
func pending(s *plan.Stage) (m map[string]string, depths map[string]int) {
	m = map[string]string{}
	add := func(key string, v plan.Value) {
		if v.Expr != "" {
			m[key] = v.Expr
		}
		if v.Depth > 0 {
			depths = deeper(depths, key, v.Depth)
		}
	}
	for _, v := range s.Env {
		add("env/"+v.Name, v.Value)
	}
	for _, v := range s.Inputs {
		add("inputs/"+v.Name, v.Value)
	}
	for i, v := range s.Command {
		add(fmt.Sprint("command/", i), v)
	}
	if s.Deploy != nil && s.Deploy.Model != nil {
		add("deploy/model", *s.Deploy.Model)
	}
	for _, v := range s.Models {
		add("register/"+v.Name, v.Value)
	}
	if s.Approve != nil && s.Approve.Message != nil {
		add("approve/message", *s.Approve.Message)
	}
	return m, depths
}

func deeper(m map[string]int, key string, depth int) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	m[key] = depth
	return m
}

// work puts together what one attempt asks of a worker: the activity that does
// it, the one that undoes it, and their argument.
func (r *run) work(u *unit, got Evaluated) (do, undo string, work any, err error) {
	s, id, at := u.s, u.p.Job, *u.p.Place
	val := func(key string, v plan.Value) any {
		if in, ok := got.Results[key]; ok {
			return in // also what was gathered
		}
		return r.known(v, key, got)
	}
	env, inputs, err := environment(s, val)
	if err == nil && u.sweep != nil {
		err = u.p.trialEnv(env)
	}
	if err != nil {
		return "", "", nil, err
	}
	if s.Deploy != nil {
		d, err := r.deployment(s, id, env, val)
		return workers.Deploy, workers.Withdraw, workers.Rollout{Store: r.in.Store, Target: at, Deployment: d}, err
	}
	job := target.Job{
		ID: id, Script: s.Script, Env: env, Host: r.in.Host, Code: s.Code, Inputs: inputs, Needs: u.place.Asks, Launch: u.place.Launch,
		Environment: u.runtime(), Timeout: time.Duration(s.Timeout), Grace: time.Duration(s.Grace), Priority: s.Priority,
	}
	if c := s.Checkpoint; c != nil {
		job.Checkpoint = &target.Checkpoint{Path: c.Path, Keep: c.Keep, From: u.p.Resumed}
	}
	for range u.p.Grown {
		job.Needs.Memory = int64(float64(job.Needs.Memory) * s.Retry.Grow)
	}
	for i, v := range s.Command {
		arg, err := text(val(fmt.Sprint("command/", i), v))
		if err != nil {
			return "", "", nil, err
		}
		job.Command = append(job.Command, arg)
	}
	sub := workers.Submission{Store: r.in.Store, Target: at, Values: map[string]string{}, Metrics: map[string]string{}, Others: len(u.place.Targets) > 1, Queue: time.Duration(s.Queue), Begun: u.p.Begun}
	for _, o := range s.Outputs {
		if isArtifact(o.Type) {
			job.Outputs = append(job.Outputs, target.Artifact{Name: o.Name, Type: o.Type})
		} else {
			sub.Values[o.Name] = o.Type
		}
	}
	for _, m := range s.Metrics {
		sub.Metrics[m.Name] = m.Type
	}
	if b := s.Batch; b != nil {
		sub.Batch = &batch.Spec{
			Items: b.Items, Size: b.Size, Bytes: b.Bytes, Processes: b.Processes, Parallel: b.Parallel, Threshold: b.Threshold, Retries: b.Retries, Timeout: time.Duration(b.Timeout),
			Append: b.Append, Score: b.Score, Output: b.Output, Folder: b.Folder,
		}
		sub.Batch.Job(&job)
		u.p.Unit = sub.Batch.Unit()
	}
	sub.Job, sub.Secrets = job, secretsOf(s, r.in.Dir)
	if sub.Models, err = r.models(u, val); u.sweep != nil && !u.sweep.enrols { // of many trials only the best
		sub.Models = nil
	}
	if err != nil {
		return "", "", nil, err
	}
	u.p.Secrets = sub.Secrets
	rests := s.Sweep != nil && s.Sweep.Rests
	sub.GoesOn = rests
	if s.Cache != nil && s.Until == nil && u.p.Attempts <= 1 && !rests {
		sub.Cache = &workers.Cache{Run: r.root(), Stage: r.path(s.Name), Item: u.p.Label, MaxAge: time.Duration(s.Cache.MaxAge)}
	}
	return workers.Run, workers.Stop, sub, nil
}

func (r *run) deployment(s *plan.Stage, id string, env map[string]string, val func(string, plan.Value) any) (target.Deployment, error) {
	d := target.Deployment{
		ID: id, Endpoint: s.Deploy.Endpoint, Run: r.in.Run, Stage: s.Name, Score: s.Deploy.Score, Script: s.Deploy.Script,
		Code: s.Code, Env: env, Environment: s.Runtime, Host: r.in.Host, Needs: s.Asks, Instances: s.Deploy.Instances, Sample: s.Deploy.Sample,
		Health: s.Deploy.Health, Path: s.Deploy.Path, Ready: time.Duration(s.Deploy.Ready),
	}
	s.Deploy.Serving.Deployment(&d)
	d.Held = s.Deploy.Rollout != nil
	if s.Deploy.Model == nil {
		return d, nil
	}
	ref, err := text(val("deploy/model", *s.Deploy.Model))
	d.Model = target.Ref(ref)
	if err == nil && !d.Model.Valid() {
		err = fmt.Errorf("deploy.model is %.60q, which is not the name of an artifact", ref)
	}
	return d, err
}

func environment(s *plan.Stage, val func(string, plan.Value) any) (map[string]string, []target.Artifact, error) {
	env, inputs := map[string]string{}, []target.Artifact{}
	for _, in := range s.Inputs {
		v, err := text(val("inputs/"+in.Name, in.Value))
		if err != nil {
			return nil, nil, err
		}
		switch ref := target.Ref(v); {
		case !in.Artifact && !in.List:
			env[target.EnvName("AMLFLOW_INPUT_", in.Name)] = v
		case !ref.Valid():
			return nil, nil, fmt.Errorf("the input %q is %.60q, which is not the name of an artifact", in.Name, v)
		case ref.IsTree():
			inputs = append(inputs, target.Artifact{Name: in.Name, Type: target.Folder, Ref: ref})
		default:
			inputs = append(inputs, target.Artifact{Name: in.Name, Type: target.File, Ref: ref})
		}
	}
	for _, v := range s.Env {
		x, err := text(val("env/"+v.Name, v.Value))
		if err != nil {
			return nil, nil, err
		}
		env[v.Name] = x
	}
	return env, inputs, nil
}

// text is a resolved value as it is handed to a job. The evaluator has turned
// everything but artifacts and plain texts into text already.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func isArtifact(typ string) bool {
	return typ == target.File || typ == target.Folder || typ == target.Model
}

// message is the innermost text of a Temporal error: what a person can use.
func message(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return strings.TrimSuffix(err.Error(), ": "+target.ErrPermanent.Error()) // people know that it is over
}

// runtime is the software that the unit asks for.
func (u *unit) runtime() *target.Environment {
	if u.place.Image == "" {
		return u.s.Runtime
	}
	return &target.Environment{Image: u.place.Image}
}

// path names a stage of this pipeline among all of the run: that of one within
// another has the other's name before it.
func (r *run) path(stage string) string {
	if r.in.Root == "" {
		return r.plan.Pipeline + "/" + stage
	}
	return r.in.Within + r.plan.Pipeline + "/" + stage
}
