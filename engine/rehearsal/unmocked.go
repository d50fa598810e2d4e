package rehearsal

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// causeExpression is the cause of a stage whose expressions have no value.
const causeExpression target.Cause = "expression"

// unmocked finds stages that failed because the test does not say what another one
// left. Around is the path of the stages around the plan, each with "/".
func (j *judge) unmocked(made *plan.Plan, p *flow.Progress, around string) {
	for i := range made.Stages {
		s, now := &made.Stages[i], &p.Stages[i]
		if failedBy(now) {
			j.lacks(s, p, around)
		}
		if s.Nested != nil && now.Nested != nil && len(now.Nested.Stages) > 0 {
			j.unmocked(s.Nested.Plan, now.Nested, around+s.Name+"/")
		}
		for k := range now.Items {
			if nested := now.Items[k].Nested; s.Nested != nil && nested != nil && len(nested.Stages) > 0 {
				j.unmocked(s.Nested.Plan, nested, around+s.Name+"/")
			}
		}
	}
}

func failedBy(s *flow.StageProgress) bool {
	if s.Cause == causeExpression {
		return true
	}
	for i := range s.Items {
		if s.Items[i].Cause == causeExpression {
			return true
		}
	}
	return false
}

// lacks reports what the expressions of a stage read and nothing gives.
func (j *judge) lacks(s *plan.Stage, p *flow.Progress, around string) {
	for _, ref := range read(s) {
		switch {
		case len(ref) >= 4 && ref[0] == "stages" && (ref[2] == "outputs" || ref[2] == "metrics"):
			if from := p.Stage(ref[1]); from != nil && from.Status == target.Succeeded && lacking(from, ref[2], ref[3]) {
				j.notMocked(around+ref[1], ref[2], ref[3], fmt.Sprintf("stage %q", around+s.Name))
			}
		case len(ref) >= 3 && ref[0] == "endpoint" && ref[len(ref)-2] == "reported":
			if !j.measured(around+s.Name, ref) {
				j.stages("not-mocked", "add `%s: { endpoint: { "+strings.ReplaceAll(wants(ref[1:]), "%", "%%")+" } }`", around+s.Name, "stage %q asks for %s, and the test does not say what it is", around+s.Name, strings.Join(ref, "."))
			}
		case len(ref) >= 2 && (ref[0] == "outputs" || ref[0] == "metrics"):
			if now := p.Stage(s.Name); lacking(now, ref[0], ref[1]) {
				j.notMocked(around+s.Name, ref[0], ref[1], "`until`")
			}
		}
	}
}

func (j *judge) notMocked(stage, kind, name, reader string) {
	one := map[string]string{"outputs": "output", "metrics": "metric"}[kind]
	value := map[string]string{"outputs": "…", "metrics": "0.5"}[kind]
	j.stages("not-mocked", "add `%s: { "+kind+": { "+strings.ReplaceAll(name, "%", "%%")+": "+value+" } }`", stage, "%s reads the %s %q of stage %q, and the test does not say what it is", reader, one, name, stage)
}

// lacking reports whether a stage has no such result, or one of its items has none.
func lacking(s *flow.StageProgress, kind, name string) bool {
	var v any
	switch {
	case kind == "outputs":
		v = s.Outputs[name]
	case s.Lists != nil:
		v = s.Lists[name]
	default:
		_, ok := s.Metrics[name]
		return !ok
	}
	list, _ := v.([]any)
	for _, item := range list {
		if item == nil {
			return true
		}
	}
	return v == nil
}

// read lists what the expressions of a stage cannot do without, each as its names.
func read(s *plan.Stage) [][]string {
	var all [][]string
	for _, text := range texts(s) {
		t, errs := expr.Split(text)
		if len(errs) > 0 {
			continue
		}
		for _, part := range t.Expressions() {
			x, errs := expr.Compile(part.Expr, anything, expr.Type{})
			if len(errs) > 0 {
				continue
			}
			for _, ref := range x.Refs {
				if !ref.Defaulted {
					all = append(all, ref.Path)
				}
			}
		}
	}
	return all
}

// anything is a scope in which every name of the language may be used.
var anything = expr.Scope{
	Names:     map[string]expr.Type{"params": {}, "run": {}, "stages": {}, "matrix": {}, "each": {}, "outputs": {}, "metrics": {}, "attempt": {}, "endpoint": {}},
	Functions: []string{"always", "failed"},
}

// texts are the expressions of a stage that wait for the run.
func texts(s *plan.Stage) []string {
	var all []string
	add := func(v *plan.Value) {
		if v != nil && v.Expr != "" {
			all = append(all, v.Expr)
		}
	}
	if s.If != nil {
		all = append(all, s.If.Expr)
	}
	for i := range s.Env {
		add(&s.Env[i].Value)
	}
	for i := range s.Inputs {
		add(&s.Inputs[i].Value)
	}
	for i := range s.Command {
		add(&s.Command[i])
	}
	for _, f := range s.Frames {
		for i := range f.Late {
			add(&f.Late[i].Value)
		}
	}
	switch {
	case s.Deploy != nil:
		add(s.Deploy.Model)
		if m := s.Deploy.Rollout; m != nil {
			for i := range m.Steps {
				if check := m.Steps[i].Check; check != nil {
					add(&check.Value)
				}
			}
			if m.Watch != nil {
				add(&m.Watch.When.Value)
			}
		}
	case s.Approve != nil:
		add(s.Approve.Message)
	case s.Nested != nil:
		for i := range s.Nested.Late {
			add(&s.Nested.Late[i].Value)
		}
	}
	if s.Fan != nil {
		add(s.Fan.List)
	}
	if s.Until != nil {
		add(&s.Until.When)
	}
	return all
}
