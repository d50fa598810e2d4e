package flow

import (
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"
)

// maxAncestors is how many stages a model remembers of those that came before the one
// that made it.
const maxAncestors = 50

// models says which outputs of a unit the registry keeps, and where they come from; nil
// when it keeps none.
func (r *run) models(u *unit, val func(string, plan.Value) any) (*workers.Registration, error) {
	s := u.s
	if len(s.Models) == 0 && len(u.p.Enlisted) == 0 {
		return nil, nil
	}
	names := map[string]string{}
	for _, v := range s.Models {
		name, err := text(val("register/"+v.Name, v.Value))
		if err != nil {
			return nil, err
		}
		if !registry.ValidName(name) {
			return nil, fmt.Errorf("a model cannot be named %.60q, as `register` says of the output %q: use small letters, digits, and . _ - between them", name, v.Name)
		}
		names[v.Name] = name
	}
	return &workers.Registration{Names: names, Origin: registry.Origin{
		Run: r.root(), Pipeline: r.plan.Pipeline, Stage: r.prefix + s.Name, Item: u.p.Label, Workspace: r.plan.Workspace, Plan: r.plan.Digest,
		Params: r.plan.Params, Before: r.ancestors(s),
	}}, nil
}

// enlist has the models kept that a job has registered itself, through the tracking API.
// Whoever carries out a job that has outputs of type model has done it already.
func (r *run) enlist(w World, u *unit, got Evaluated, out workers.Outcome) workers.Outcome {
	if len(out.Enlisted) == 0 || out.State != target.Succeeded || u.s.NoModels {
		return out
	}
	u.p.Enlisted = out.Enlisted
	if u.sweep != nil || len(u.s.Models) > 0 { // of many trials only the best; see enrol
		return out
	}
	_, _, work, err := r.work(u, got)
	sub, ok := work.(workers.Submission)
	if err != nil || !ok {
		return unstarted(fmt.Sprintf("the models that it registered could not be kept: %v", err))
	}
	return w.Attempt(Task{ID: u.p.Job + ".models", Do: workers.Enrol, Undo: workers.Enrol, Work: workers.Enrolment{Submission: sub, Outcome: out}, Progress: u.p})
}

// ancestors are the stages whose results a stage uses, and those that these use, the
// nearest first.
func (r *run) ancestors(s *plan.Stage) []registry.Ancestor {
	var out []registry.Ancestor
	seen := map[string]bool{}
	queue := used(s)
	for len(queue) > 0 && len(out) < maxAncestors {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		before, p := &r.plan.Stages[r.index[name]], &r.progress.Stages[r.index[name]]
		a := registry.Ancestor{Stage: r.prefix + name, Job: p.Job, Code: before.Code}
		if p.Reused != nil {
			a.Run, a.Job = p.Reused.Run, p.Reused.Job
		}
		for _, n := range used(before) {
			a.Uses = append(a.Uses, r.prefix+n)
		}
		for _, o := range before.Outputs {
			if ref, ok := p.Outputs[o.Name].(string); ok && isArtifact(o.Type) {
				a.Outputs = append(a.Outputs, registry.Given{Name: o.Name, Artifact: target.Ref(ref)})
			}
		}
		out, queue = append(out, a), append(queue, used(before)...)
	}
	return out
}

// used are the stages whose results a stage uses.
func used(s *plan.Stage) []string {
	var names []string
	for _, n := range s.Needs {
		if n.Data && !slices.Contains(names, n.Stage) {
			names = append(names, n.Stage)
		}
	}
	return names
}
