package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
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
}

// Evaluated answers an Evaluation.
type Evaluated struct {
	If      bool           `json:"if"`
	Results map[string]any `json:"results,omitempty"`
	Error   string         `json:"error,omitempty"`
	At      string         `json:"at,omitempty"` // the key that the error is about
}

// evaluate has expressions evaluated outside replayed code, so that the answer
// is recorded once.
func (r *run) evaluate(ctx workflow.Context, e Evaluation) (Evaluated, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3},
	})
	var got Evaluated
	err := workflow.ExecuteLocalActivity(ctx, Evaluate, e).Get(ctx, &got)
	return got, err
}

// resolve decides the stage's condition and evaluates what depends on the run.
func (r *run) resolve(ctx workflow.Context, s *plan.Stage) (Evaluated, error) {
	e := Evaluation{Texts: pending(s)}
	if s.If != nil {
		if e.If = s.If.Expr; e.If == "" && !s.If.Known {
			return Evaluated{If: false}, nil
		}
	}
	if e.If == "" && len(e.Texts) == 0 {
		return Evaluated{If: true}, nil
	}
	e.Values, e.Failed = r.values(needNames(s.Needs)), r.upstreamFailed(s)
	return r.evaluate(ctx, e)
}

// pending lists the texts of a stage that wait for the run, by key.
func pending(s *plan.Stage) map[string]string {
	m := map[string]string{}
	add := func(key string, v plan.Value) {
		if v.Expr != "" {
			m[key] = v.Expr
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
	return m
}

// work puts together what one attempt asks of a worker: the activity that does
// it, the one that undoes it, and their argument.
func (r *run) work(s *plan.Stage, id string, at target.Target, got map[string]any) (do, undo string, work any, err error) {
	val := func(key string, v plan.Value) any {
		if v.Expr != "" {
			return got[key]
		}
		return v.Known
	}
	env, inputs, err := environment(s, val)
	if err != nil {
		return "", "", nil, err
	}
	if s.Deploy != nil {
		d, err := r.deployment(s, id, env, val)
		return workers.Deploy, workers.Withdraw, workers.Rollout{Store: r.in.Store, Target: at, Deployment: d}, err
	}
	job := target.Job{
		ID: id, Script: s.Script, Env: env, Host: r.in.Host, Code: s.Code, Inputs: inputs, Needs: s.Asks,
		Timeout: time.Duration(s.Timeout), Grace: time.Duration(s.Grace),
	}
	for i, v := range s.Command {
		arg, err := text(val(fmt.Sprint("command/", i), v))
		if err != nil {
			return "", "", nil, err
		}
		job.Command = append(job.Command, arg)
	}
	sub := workers.Submission{Store: r.in.Store, Target: at, Values: map[string]string{}, Metrics: map[string]string{}}
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
	sub.Job = job
	return workers.Run, workers.Stop, sub, nil
}

func (r *run) deployment(s *plan.Stage, id string, env map[string]string, val func(string, plan.Value) any) (target.Deployment, error) {
	d := target.Deployment{
		ID: id, Endpoint: s.Deploy.Endpoint, Run: r.in.Run, Stage: s.Name, Score: s.Deploy.Score, Script: s.Deploy.Script,
		Code: s.Code, Env: env, Host: r.in.Host, Needs: s.Asks, Instances: s.Deploy.Instances, Sample: s.Deploy.Sample,
		Health: s.Deploy.Health, Path: s.Deploy.Path, Ready: time.Duration(s.Deploy.Ready),
	}
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
		case !in.Artifact:
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
	return err.Error()
}
