package rehearsal

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// play is one rehearsal under way: what its workflows share. They take turns, so that
// nothing here needs a lock.
type play struct {
	o      Options
	judge  *judge
	names  names
	mocks  map[string]*schema.Mock // by stage, "a/b" for one inside of another
	down   map[string]bool         // targets
	inside map[string]string       // by the id of a run: the stages around it, each with "/"
	given  map[string]given        // what the last attempt of a stage was given, by its path
	root   *flow.Progress
	moved  map[string]workers.Traffic // who answers, by endpoint
	stuck  *flow.Progress             // as it stood when nothing more could happen
}

// given is what one attempt was given.
type given struct {
	env     map[string]string
	inputs  map[string]string
	command []string
	model   string
}

func newPlay(t *schema.Test, c *schema.Case, o Options) *play {
	p := &play{o: o, judge: &judge{t: t, c: c}, names: names{}, mocks: map[string]*schema.Mock{}, down: map[string]bool{}, inside: map[string]string{}, given: map[string]given{}, moved: map[string]workers.Traffic{}}
	for _, m := range t.Mocks(c) {
		p.mocks[m.Stage] = &m
	}
	for _, name := range c.Down {
		p.down[name] = true
	}
	return p
}

// unit is one attempt of a stage, or of one of its items.
type unit struct {
	path    string // "a[2]/train[3]"
	stage   string // "a/train", as tests name it
	item    int    // below 0: the stage does not run over several
	attempt int
}

var numbers = regexp.MustCompile(`\[[0-9]+\]`)

// unit reads the id of a job. See flow: what is behind the last dot is the attempt, or
// the item from 1 on and the attempt.
func (p *play) unit(run, id string) unit {
	name := strings.TrimPrefix(id, run+".")
	dot := strings.LastIndexByte(name, '.')
	item, attempt, several := strings.Cut(name[dot+1:], "-")
	u := unit{path: p.inside[run] + name[:dot], item: -1}
	u.stage = numbers.ReplaceAllString(u.path, "")
	if !several {
		item, attempt = "0", item
	}
	u.attempt, _ = strconv.Atoi(attempt)
	if n, err := strconv.Atoi(item); err == nil && several {
		u.item = n - 1
		u.path += fmt.Sprintf("[%d]", u.item)
	}
	return u
}

// result is what the test says of an attempt; without a word it succeeds.
func (p *play) result(u unit) schema.Result {
	m := p.mocks[u.stage]
	if m != nil && u.item >= 0 && len(m.Items) > 0 {
		if u.item >= len(m.Items) {
			p.judge.key("not-mocked", m.Path+"/items", "add one for each", "stage %q ran over item %d, and the test has results of %d", u.stage, u.item, len(m.Items))
			return schema.Result{}
		}
		m = &m.Items[u.item]
	}
	switch {
	case m == nil:
		return schema.Result{}
	case len(m.Attempts) == 0:
		return m.Result
	case u.attempt > len(m.Attempts):
		p.judge.key("not-mocked", m.Path+"/attempts", "add one for each", "stage %q was attempted more often than the test has results, %d", u.stage, len(m.Attempts))
		return m.Attempts[len(m.Attempts)-1]
	}
	return m.Attempts[u.attempt-1]
}

// job is what comes of a job, and how long it takes.
func (p *play) job(u unit, s workers.Submission) (workers.Outcome, time.Duration) {
	seen := given{env: s.Job.Env, inputs: map[string]string{}, command: s.Job.Command}
	for _, in := range s.Job.Inputs {
		seen.inputs[in.Name] = string(in.Ref)
	}
	p.given[u.path] = seen
	if p.down[s.Target.Name] {
		return unusable(s.Target), 0
	}
	r := p.result(u)
	if limit := s.Job.Timeout; limit > 0 && (r.Fails == string(target.CauseTimeout) || r.Takes > limit) {
		r.Exit, r.Signal, r.Fails, r.Takes = 0, 0, string(target.CauseTimeout), limit
	}
	out := workers.Outcome{Status: status(r)}
	out.Metrics = map[string]float64{}
	for name, v := range r.Metrics {
		out.Metrics[name] = float(v)
	}
	if out.State == target.Succeeded {
		out.Artifacts, out.Values = p.left(u, s, r)
	}
	return out, r.Takes
}

// left are the outputs of a job that succeeded. An artifact of which the test says
// nothing is named after its stage.
func (p *play) left(u unit, s workers.Submission, r schema.Result) (map[string]target.Ref, map[string]any) {
	refs, values := map[string]target.Ref{}, map[string]any{}
	for _, o := range s.Job.Outputs {
		v, said := r.Outputs[o.Name]
		switch {
		case !said:
			refs[o.Name] = p.names.ref(u.path+"."+o.Name, o.Type)
		case v != nil:
			refs[o.Name] = p.names.ref(fmt.Sprint(v), o.Type)
		}
	}
	for name := range s.Values {
		if v := r.Outputs[name]; v != nil {
			values[name] = v
		}
	}
	return refs, copied(values)
}

// rollout is what comes of a deployment.
func (p *play) rollout(u unit, r workers.Rollout) (workers.Outcome, time.Duration) {
	p.given[u.path] = given{env: r.Deployment.Env, inputs: map[string]string{}, model: string(r.Deployment.Model)}
	if p.down[r.Target.Name] {
		return unusable(r.Target), 0
	}
	said := p.result(u)
	out := workers.Outcome{Status: status(said)}
	if out.State == target.Succeeded {
		out.URL = "http://127.0.0.1/" + r.Deployment.Endpoint
		if url, ok := said.Outputs["url"].(string); ok {
			out.URL = url
		}
	}
	return out, said.Takes
}

// nested is the record of a pipeline that a stage runs, when the test says what comes
// of the stage as a whole.
func (p *play) nested(u unit, in flow.Input) (*flow.Progress, time.Duration, bool) {
	if p.mocks[u.stage] == nil {
		return nil, 0, false
	}
	r := p.result(u)
	got := &flow.Progress{Run: in.Run, Pipeline: in.Plan.Pipeline, Status: target.Succeeded, Params: in.Plan.Params, Outputs: map[string]any{}}
	for name, typ := range givenBack(&in.Plan) {
		v, said := r.Outputs[name]
		if !said && isArtifact(typ) {
			v = u.path + "." + name
		}
		if v != nil {
			got.Outputs[name] = p.named(v, typ)
		}
	}
	if r.Failing() {
		got.Status, got.Error = target.Failed, "its pipeline failed: "+status(r).Reason
	}
	return copied(got), r.Takes, true
}

// named gives what is an artifact, or a list of them, its name.
func (p *play) named(v any, typ string) any {
	list, several := v.([]any)
	one, of := strings.CutPrefix(typ, listOf)
	switch {
	case isArtifact(typ):
		return string(p.names.ref(fmt.Sprint(v), typ))
	case of && several:
		out := make([]any, len(list))
		for i := range list {
			out[i] = p.named(list[i], one)
		}
		return out
	}
	return v
}

// choose takes the first target that is not down, else the last.
func (p *play) choose(ts []target.Target) workers.Choice {
	var c workers.Choice
	for i, t := range ts {
		if c.Index = i; !p.down[t.Name] {
			return c
		}
		c.Notes = append(c.Notes, fmt.Sprintf("target %q cannot be used now: it is down", t.Name))
	}
	return c
}

func unusable(t target.Target) workers.Outcome {
	return workers.Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: fmt.Sprintf("target %q cannot be used now: it is down", t.Name)}}
}

// status is the end that a result stands for.
func status(r schema.Result) target.Status {
	fails := func(exit, signal int, c target.Cause, reason string) target.Status {
		return target.Status{State: target.Failed, Exit: exit, Signal: signal, Cause: c, Reason: reason}
	}
	switch c := target.Cause(r.Fails); {
	case r.Exit != 0:
		return fails(r.Exit, 0, target.CauseExit, fmt.Sprintf("exit code %d", r.Exit))
	case r.Signal != 0:
		return fails(128+r.Signal, r.Signal, target.CauseSignal, fmt.Sprintf("ended by signal %d", r.Signal))
	case c == target.CauseLost:
		return target.Status{State: target.Lost, Cause: c, Reason: "the target no longer knows what became of it"}
	case c == target.CauseOOM:
		return fails(137, 9, c, "out of memory")
	case c == target.CauseTimeout:
		return fails(143, 15, c, "stopped after its timeout")
	case c == target.CauseStart:
		return fails(0, 0, c, "it could not be started")
	case c == target.CauseSample:
		return fails(0, 0, c, "the sample was not answered")
	case c == workers.CauseOutput:
		return fails(0, 0, c, "the job ended, but without what it promised")
	}
	return target.Status{State: target.Succeeded}
}

// cancelled is the end of what a cancelled run stops.
var cancelled = workers.Outcome{Status: target.Status{State: target.Cancelled, Exit: 143, Signal: 15, Cause: target.CauseCancel, Reason: "it was cancelled"}}

func float(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return 0
}
