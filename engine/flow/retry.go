package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Retrying says what of an earlier run is done again, whatever became of it there.
type Retrying struct {
	From map[string]bool // these stages, and all that need them
	Anew map[string]bool // these stages, because their earlier results are not wanted
	// There reports whether an artifact is still kept.
	There func(target.Ref) bool
}

// Retained says of a stage whether a run that follows another keeps what that has.
type Retained struct {
	Stage string `json:"stage"`
	Kept  bool   `json:"kept"`
	Items int    `json:"items,omitempty"` // that are kept of a stage that is done again
	Why   string `json:"why"`
}

// Retry is the state in which a run of the plan now begins that keeps the good results
// of an earlier run, which had the plan before and ended in the state was. What is kept
// of each stage, and why, is told in the plan's order. A stage is kept when it
// succeeded, is written the same in both plans, and all that it needs is kept; where it
// runs, and what else is in its code folder, makes no difference.
func Retry(was *State, before, now *plan.Plan, o Retrying) (*State, []Retained) {
	r := retry{was: was, before: before, now: now, o: o, kept: map[string]bool{}, params: sameJSON(before.Params, now.Params)}
	next := &State{Progress: newProgress(Input{Plan: *now}, was.Progress.Started), Items: map[string][]StageProgress{}, Lists: map[string][]any{}}
	next.Progress.Run, next.Progress.Of = "", was.Progress.Run
	var told []Retained
	for i := range now.Stages {
		told = append(told, r.stage(&now.Stages[i], &next.Progress.Stages[i], next))
	}
	return next, told
}

type retry struct {
	was         *State
	before, now *plan.Plan
	o           Retrying
	params      bool // parameters are the same
	kept        map[string]bool
}

func (r *retry) stage(s *plan.Stage, p *StageProgress, next *State) Retained {
	old := r.was.Progress.Stage(s.Name)
	why, items := r.anew(s, old), 0
	switch {
	case why == "":
		r.kept[s.Name] = true
		*p = *old
		p.At = s.At
		if p.Reused == nil {
			p.Reused = &workers.Reused{Run: r.was.Progress.Run, Job: old.Job, At: old.Ended}
		}
		if all, many := r.was.Items[s.Name]; many {
			next.Items[s.Name] = all
		}
		why = "it succeeded in run " + p.Reused.Run + r.otherCode(s)
	case s.Fan != nil && old != nil && old.Count != nil && r.only(s, old):
		items = r.items(s, old, p, next)
	case s.Sweep != nil && old != nil && old.Sweep != nil && r.sameTrials(s, old):
		items = r.trials(s, old, p)
	case s.Checkpoint != nil && old != nil && old.Checkpoint != "" && r.only(s, old) && r.o.There(old.Checkpoint):
		p.Checkpoint = old.Checkpoint
		why += "; it goes on from its checkpoint"
	}
	if list, late := r.was.Lists[s.Name]; late && (r.kept[s.Name] || items > 0) {
		next.Lists[s.Name] = list
	}
	return Retained{Stage: s.Name, Kept: r.kept[s.Name], Items: items, Why: why}
}

// anew says why a stage is done again; empty: it is not.
func (r *retry) anew(s *plan.Stage, old *StageProgress) string {
	i := slices.IndexFunc(r.before.Stages, func(b plan.Stage) bool { return b.Name == s.Name })
	switch {
	case s.Finally:
		return "it is done at the end of every run"
	case old == nil || i < 0:
		return "it is new"
	case r.o.From[s.Name] || r.o.Anew[s.Name]:
		return "as you asked"
	case old.Status != target.Succeeded:
		return "it was " + string(old.Status) + " in run " + r.was.Progress.Run
	}
	for _, n := range s.Needs {
		if !r.kept[n.Stage] {
			return fmt.Sprintf("it needs %q, which is done again", n.Stage)
		}
	}
	if why := r.differs(&r.before.Stages[i], s); why != "" {
		return why
	}
	return r.lacks(s, old)
}

// lacks says which artifact of a stage is not kept any more.
func (r *retry) lacks(s *plan.Stage, old *StageProgress) string {
	all := append(slices.Clone(r.was.Items[s.Name]), *old)
	for _, one := range append(all, old.Items...) {
		for _, o := range s.Outputs {
			ref, isText := one.Outputs[o.Name].(string)
			if isText && isArtifact(o.Type) && !r.o.There(target.Ref(ref)) {
				return fmt.Sprintf("its output %q is no longer in the store", o.Name)
			}
		}
	}
	return ""
}

// differs says what is not as it was about a stage.
func (r *retry) differs(before, now *plan.Stage) string {
	switch {
	case now.Approve != nil && r.before.Digest != r.now.Digest:
		return "who approved it has seen another plan"
	case !sameJSON(essence(before), essence(now)):
		return "it is not written as it was"
	case !r.params && speaksOfParams(now):
		return "the parameters are others"
	case now.Fan != nil && len(now.Fan.Items) == 0 && r.was.Lists[now.Name] == nil:
		return "what it ran over is on no record"
	}
	return ""
}

// otherCode tells that a stage is kept though its code folder is another by now. It
// holds the pipeline's own file, so that any edit would forbid to keep anything.
func (r *retry) otherCode(s *plan.Stage) string {
	for _, b := range r.before.Stages {
		if b.Name == s.Name && b.Code != s.Code {
			return ", with the code as it was then"
		}
	}
	return ""
}

// essence is what a stage is meant to do: not where it is written, nor where it runs, and
// not what is in its code folder.
func essence(s *plan.Stage) plan.Stage {
	e := *s
	e.At, e.Places, e.Targets, e.Asks, e.Retry, e.Timeout, e.Grace, e.Cache = diag.Pos{}, nil, nil, target.Resources{}, plan.Retry{}, 0, 0, nil
	e.Code, e.Models = "", nil
	return e
}

func sameJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

// speaksOfParams reports whether an expression that the run evaluates may see the
// pipeline's parameters.
func speaksOfParams(s *plan.Stage) bool {
	text, err := json.Marshal(essence(s))
	return err != nil || strings.Contains(string(text), "params")
}

// only reports whether a stage is done again for nothing but that it failed.
func (r *retry) only(s *plan.Stage, old *StageProgress) bool {
	good := *old
	good.Status = target.Succeeded
	return r.anew(s, &good) == ""
}

// items keeps those items of a stage that succeeded, and returns how many.
func (r *retry) items(s *plan.Stage, old, p *StageProgress, next *State) (kept int) {
	all := slices.Clone(r.was.Items[s.Name])
	if all == nil {
		all = slices.Clone(old.Items)
	}
	if len(all) != old.Count.Total {
		return 0 // not all of them are on record
	}
	count := &Count{Total: len(all)}
	for i := range all {
		if it := &all[i]; it.Status == target.Succeeded {
			kept++
			count.add(it.Status)
			if it.Reused == nil {
				it.Reused = &workers.Reused{Run: r.was.Progress.Run, Job: it.Job, At: it.Ended}
			}
			continue
		}
		all[i] = StageProgress{Name: all[i].Name, Label: all[i].Label, Status: target.Waiting, At: s.At, Checkpoint: r.stillThere(all[i].Checkpoint)}
	}
	if kept == 0 {
		return 0
	}
	p.Count = count
	if len(all) <= inline {
		p.Items = all
	} else {
		next.Items[s.Name] = all
	}
	return kept
}

// stillThere is ref if its content is kept.
func (r *retry) stillThere(ref target.Ref) target.Ref {
	if ref == "" || !r.o.There(ref) {
		return ""
	}
	return ref
}

// Behind are the named stages and all that need them, directly or not.
func Behind(p *plan.Plan, names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	for _, s := range p.Stages { // each after everything that it needs
		if slices.ContainsFunc(s.Needs, func(n plan.Need) bool { return all[n.Stage] }) {
			all[s.Name] = true
		}
	}
	return all
}
