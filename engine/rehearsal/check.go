package rehearsal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Check holds what a case says against the plan that it is about. It runs nothing.
func Check(t *schema.Test, c *schema.Case, p *plan.Plan, o Options) diag.Findings {
	k := &checker{judge: &judge{t: t, c: c}, plan: p}
	for _, m := range t.Mocks(c) {
		if s := k.stage(m.Stage, m.Path); s != nil {
			k.mock(s, &m)
		}
	}
	for i, name := range c.Down {
		if !slices.Contains(o.Targets, name) {
			k.value("unknown-target", fmt.Sprintf("%s/down/%d", c.Path, i), meant(name, o.Targets, "targets"), "the workspace has no target named %q", name)
		}
	}
	k.expect(&c.Expect, o)
	return k.findings.Sort()
}

type checker struct {
	*judge
	plan *plan.Plan
}

// stage finds the stage that the key at path names.
func (k *checker) stage(name, path string) *plan.Stage {
	s, why, hint := lookup(k.plan, name)
	if s == nil {
		k.key("unknown-stage", path, hint, "%s", why)
	}
	return s
}

// lookup finds a stage by its path, or says why it is not there.
func lookup(p *plan.Plan, path string) (s *plan.Stage, why, hint string) {
	for around := ""; ; {
		name, _, deeper := strings.Cut(path[len(around):], "/")
		s = p.Stage(name)
		switch {
		case s == nil:
			var known []string
			for _, other := range p.Stages {
				known = append(known, around+other.Name)
			}
			return nil, fmt.Sprintf("pipeline %q has no stage %q", p.Pipeline, name), meant(around+name, known, "stages")
		case !deeper:
			return s, "", ""
		case s.Nested == nil:
			return nil, fmt.Sprintf("stage %q runs no pipeline, so there is no %q", around+name, path), fmt.Sprintf("write %q", around+name)
		}
		around, p = around+name+"/", s.Nested.Plan
	}
}

func (k *checker) mock(s *plan.Stage, m *schema.Mock) {
	said := k.t.Source.Keys(m.Path)
	for _, key := range said {
		forPeople := slices.Contains([]string{"approve", "reject", "nobody", "after", "comment"}, key)
		switch {
		case s.Approve != nil && !forPeople:
			k.key("bad-test", m.Path+"/"+key, "write `approve: NAME`, `reject: NAME` or `nobody: true`", "stage %q waits for a person, so it has no %q", m.Stage, key)
			return
		case s.Approve == nil && forPeople:
			k.key("bad-test", m.Path+"/"+key, "leave it out", "stage %q does not wait for a person", m.Stage)
			return
		}
	}
	if s.Approve != nil {
		k.person(s, m)
		return
	}
	if len(m.Items) > 0 && !k.items(s, m) {
		return
	}
	k.results(s, m)
	for i := range m.Items {
		k.results(s, &m.Items[i])
	}
}

// person refuses one who may not decide.
func (k *checker) person(s *plan.Stage, m *schema.Mock) {
	if m.Decision == nil || m.Decision.Nobody || len(s.Approve.By) == 0 {
		return
	}
	key, name := "approve", m.Decision.Approve
	if name == "" {
		key, name = "reject", m.Decision.Reject
	}
	if !slices.Contains(s.Approve.By, name) {
		k.value("bad-test", m.Path+"/"+key, "name one who may", "%q may not decide about stage %q: %s may", name, m.Stage, strings.Join(s.Approve.By, ", "))
	}
}

func (k *checker) items(s *plan.Stage, m *schema.Mock) bool {
	switch {
	case s.Sweep != nil && s.Sweep.Trials > 0 && len(m.Items) > s.Sweep.Trials:
		k.key("bad-test", m.Path+"/items", "leave out the rest", "stage %q has %d trials, and the test has results of %d", m.Stage, s.Sweep.Trials, len(m.Items))
	case s.Sweep != nil:
		return true
	case s.Fan == nil:
		k.key("bad-test", m.Path+"/items", "write the result without `items`", "stage %q does not run over several items", m.Stage)
	case s.Fan.List == nil && len(m.Items) > len(s.Fan.Items):
		k.key("bad-test", m.Path+"/items", "leave out the rest", "stage %q runs over %d items, and the test has results of %d", m.Stage, len(s.Fan.Items), len(m.Items))
	default:
		return true
	}
	return false
}

func (k *checker) results(s *plan.Stage, m *schema.Mock) {
	if len(m.Attempts) == 0 {
		k.result(s, m.Result)
	}
	for _, r := range m.Attempts {
		k.result(s, r)
	}
}

func (k *checker) result(s *plan.Stage, r schema.Result) {
	k.ending(s, r)
	if len(r.Measured) > 0 && (s.Deploy == nil || s.Deploy.Rollout == nil) {
		k.key("bad-test", r.Path+"/endpoint", "leave it out", "stage %q moves no requests step by step, so nothing is measured", s.Name)
	}
	outputs := outputsOf(s)
	for _, name := range k.t.Source.Keys(r.Path + "/outputs") {
		at := schema.Pointer(r.Path+"/outputs", name)
		typ, known := outputs[name]
		if !known {
			k.key("unknown-output", at, meant(name, keys(outputs), "outputs"), "stage %q has no output %q", s.Name, name)
		} else if v := r.Outputs[name]; v != nil && !fits(v, typ) {
			k.value("wrong-type", at, "write "+or(words[typ], "a list"), "the output %q of stage %q is of type %s", name, s.Name, typ)
		}
	}
	metrics := metricsOf(s)
	for _, name := range k.t.Source.Keys(r.Path + "/metrics") {
		at := schema.Pointer(r.Path+"/metrics", name)
		typ, known := metrics[name]
		if !known {
			k.key("unknown-metric", at, meant(name, keys(metrics), "metrics"), "stage %q has no metric %q", s.Name, name)
		} else if !fits(r.Metrics[name], typ) {
			k.value("wrong-type", at, "write "+or(words[typ], "a list"), "the metric %q of stage %q is of type %s", name, s.Name, typ)
		}
	}
}

// ending refuses ends that the stage cannot have.
func (k *checker) ending(s *plan.Stage, r schema.Result) {
	deploys := []string{string(target.CauseLost), string(target.CauseStart), string(target.CauseSample)}
	switch {
	case s.Deploy != nil && (r.Exit != 0 || r.Signal != 0 || r.Fails != "" && !slices.Contains(deploys, r.Fails)):
		k.key("bad-test", r.Path+"/"+endKey(r), "write `fails: start`, `fails: sample` or `fails: lost`", "stage %q deploys, and a deployment does not end like this", s.Name)
	case r.Fails == string(target.CauseSample) && (s.Deploy == nil || s.Deploy.Sample == nil):
		k.value("bad-test", r.Path+"/fails", "write another cause", "stage %q deploys nothing with a sample", s.Name)
	case r.Fails == string(target.CauseTimeout) && s.Timeout == 0 && s.Nested == nil:
		k.value("bad-test", r.Path+"/fails", "give the stage a `timeout`, or write another cause", "stage %q has no timeout", s.Name)
	case r.Fails == string(workers.CauseOutput) && len(s.Outputs) == 0:
		k.value("bad-test", r.Path+"/fails", "write another cause", "stage %q promises no outputs", s.Name)
	}
}

func endKey(r schema.Result) string {
	switch {
	case r.Exit != 0:
		return "exit"
	case r.Signal != 0:
		return "signal"
	}
	return "fails"
}

func (k *checker) expect(e *schema.Expect, o Options) {
	for _, names := range []*schema.Names{e.Ran, e.Skipped} {
		if names == nil {
			continue
		}
		for i, name := range names.List {
			if s, why, hint := lookup(k.plan, name); s == nil {
				k.value("unknown-stage", fmt.Sprintf("%s/%d", names.Path, i), hint, "%s", why)
			}
		}
	}
	for i := range e.Stages {
		if s := k.stage(numbers.ReplaceAllString(e.Stages[i].Name, ""), e.Stages[i].Path); s != nil {
			k.expected(s, &e.Stages[i], o)
		}
	}
	var outputs []string
	for _, v := range k.plan.Outputs {
		outputs = append(outputs, v.Name)
	}
	k.declared(e.Outputs, outputs, "unknown-output", fmt.Sprintf("pipeline %q has no output", k.plan.Pipeline), "outputs")
}

var itemSuffix = regexp.MustCompile(`\[[0-9]+\]$`)

func (k *checker) expected(s *plan.Stage, e *schema.ExpectedStage, o Options) {
	of := fmt.Sprintf("stage %q has no ", s.Name)
	one := itemSuffix.MatchString(e.Name)
	if one && s.Fan == nil && s.Sweep == nil {
		k.key("bad-test", e.Path, "leave out the number", "stage %q does not run over several items", s.Name)
		return
	}
	if e.Target != "" && !slices.Contains(o.Targets, e.Target) {
		k.value("unknown-target", e.Path+"/target", meant(e.Target, o.Targets, "targets"), "the workspace has no target named %q", e.Target)
	}
	for _, key := range k.t.Source.Keys(e.Path) {
		if slices.Contains([]string{"env", "inputs", "command", "model"}, key) && s.Fan != nil && !one {
			k.key("bad-test", e.Path+"/"+key, fmt.Sprintf("name one of its items: %s[0]", e.Name), "stage %q runs over several items, and each has its own %q", s.Name, key)
		}
	}
	k.declared(e.Outputs, keys(outputsOf(s)), "unknown-output", of+"output", "outputs")
	k.declared(e.Metrics, keys(metricsOf(s)), "unknown-metric", of+"metric", "metrics")
	var inputs, env []string
	for _, in := range s.Inputs {
		inputs = append(inputs, in.Name)
	}
	for _, v := range s.Env {
		if !strings.HasPrefix(v.Name, expr.VarPrefix) {
			env = append(env, v.Name)
		}
	}
	k.declared(e.Inputs, inputs, "unknown-name", of+"input", "inputs")
	k.declared(e.Env, env, "unknown-name", of+"variable", "variables")
}

// declared reports expected names that nothing declares; of those, only null can be.
func (k *checker) declared(values []schema.ExpectedValue, known []string, code diag.Code, what, all string) {
	for _, v := range values {
		if v.Value != nil && !slices.Contains(known, v.Name) {
			k.key(code, v.Path, meant(v.Name, known, all), "%s %q", what, v.Name)
		}
	}
}
