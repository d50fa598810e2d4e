package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Verdict is what a run would do with a stage.
type Verdict string

// The verdicts.
const (
	WillRun   Verdict = "run"
	WillReuse Verdict = "reuse" // results of an earlier run
	WillSkip  Verdict = "skip"
	Gated     Verdict = "gated" // something decides during the run: a condition or a person
)

// Foresight is what can be told of a stage before a run.
type Foresight struct {
	Stage   string          `json:"stage"`
	Verdict Verdict         `json:"verdict"`
	Why     string          `json:"why"`
	Reused  *workers.Reused `json:"reused,omitempty"`
}

// Oracle answers what a forecast may not work out itself.
type Oracle struct {
	Evaluate func(Evaluation) (Evaluated, error)
	Recall   func(workers.Submission) (workers.Outcome, string, bool)
	Gather   func(list string) (target.Ref, error)
}

// Forecast says of each stage of a plan what a run would do with it now, in the
// plan's order. It starts nothing.
func Forecast(in Input, o Oracle) []Foresight {
	f := &forecast{run: newRun(in, time.Time{}), oracle: o, unknown: map[string]bool{}}
	var out []Foresight
	for i := range f.plan.Stages {
		s := &f.plan.Stages[i]
		v := f.stage(s, &f.progress.Stages[i])
		v.Stage = s.Name
		f.unknown[s.Name] = v.Verdict == WillRun || v.Verdict == Gated
		out = append(out, v)
	}
	return out
}

// forecast is a run that is only thought of. The progress of stages that would reuse
// results holds those; of the others nothing is known.
type forecast struct {
	*run
	oracle  Oracle
	unknown map[string]bool
}

func (f *forecast) stage(s *plan.Stage, p *StageProgress) Foresight {
	if why := f.skipped(s); why != "" {
		p.Status, p.Why = Skipped, why
		return Foresight{Verdict: WillSkip, Why: why}
	}
	if s.If != nil && s.If.Expr != "" && !s.If.Item {
		if v, decided := f.condition(s, p); decided {
			return v
		}
	}
	switch waits := f.waitsFor(s); {
	case s.Approve != nil:
		return Foresight{Verdict: Gated, Why: "waits for " + whom(s.Approve.By)}
	case s.Nested != nil:
		return Foresight{Verdict: WillRun, Why: "runs the pipeline " + s.Nested.Plan.Pipeline}
	case s.Deploy != nil:
		return Foresight{Verdict: WillRun, Why: "a deployment is always made"}
	case s.Cache == nil || s.Until != nil:
		return Foresight{Verdict: WillRun, Why: "it does not ask for earlier results"}
	case len(waits) > 0:
		return Foresight{Verdict: WillRun, Why: "it uses results of " + strings.Join(waits, ", ") + ", which will be made"}
	}
	return f.reuse(s, p)
}

// skipped says why a stage would not run, when that is known.
func (f *forecast) skipped(s *plan.Stage) string {
	if s.If != nil && s.If.Expr == "" && !s.If.Known {
		return "its condition `if` is false"
	}
	for _, n := range s.Needs {
		if need := f.progress.Stages[f.index[n.Stage]]; n.Data && need.Status == Skipped {
			return fmt.Sprintf("it uses results of %q, which would be skipped", n.Stage)
		}
	}
	return ""
}

// waitsFor are the stages with results that the stage uses and nobody knows yet.
func (f *forecast) waitsFor(s *plan.Stage) []string {
	var names []string
	for _, n := range s.Needs {
		if f.unknown[n.Stage] && n.Data {
			names = append(names, n.Stage)
		}
	}
	return names
}

// condition looks at an `if` that speaks of the run.
func (f *forecast) condition(s *plan.Stage, p *StageProgress) (v Foresight, decided bool) {
	if s.If.Anyway {
		if strings.Contains(s.If.Expr, "failed(") {
			return Foresight{Verdict: Gated, Why: "runs only if its condition asks for a failure that there is"}, true
		}
		return v, false
	}
	for _, n := range s.Needs {
		if f.unknown[n.Stage] {
			return Foresight{Verdict: Gated, Why: "its condition waits for what becomes of " + n.Stage}, true
		}
	}
	e := f.evaluation(whole(s, p))
	e.If, e.IfDepth = s.If.Expr, s.If.Depth
	got, err := f.oracle.Evaluate(e)
	switch {
	case err != nil || got.Error != "":
		return Foresight{Verdict: Gated, Why: "its condition cannot be told before the run"}, true
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
		return Foresight{Verdict: WillSkip, Why: "its condition `if` is false: " + got.Because}, true
	}
	return v, false
}

// reuse looks for earlier results of a stage whose inputs are all known.
func (f *forecast) reuse(s *plan.Stage, p *StageProgress) Foresight {
	switch {
	case s.Fan != nil:
		return f.reuseItems(s, p)
	case s.Sweep != nil:
		return Foresight{Verdict: WillRun, Why: "its trials are chosen while it runs"}
	}
	out, why, ok := f.recall(whole(s, p))
	if !ok {
		return Foresight{Verdict: WillRun, Why: why}
	}
	p.Status, p.Outputs, p.Metrics = target.Succeeded, outputsOf(s, out), out.Metrics
	return Foresight{Verdict: WillReuse, Why: "nothing that decides its results has changed", Reused: out.Reused}
}

func (f *forecast) reuseItems(s *plan.Stage, p *StageProgress) Foresight {
	items := s.Fan.Items
	if s.Fan.List != nil {
		got, err := f.oracle.Evaluate(Evaluation{Values: f.values(needNames(s.Needs)), Frames: s.Frames, List: s.Fan.List.Expr})
		if err != nil || got.Error != "" {
			return Foresight{Verdict: WillRun, Why: "what it runs over cannot be told before the run"}
		}
		items = nil
		for _, v := range got.List {
			items = append(items, plan.Item{Value: v})
		}
	}
	all, reused, first := make([]StageProgress, len(items)), 0, ""
	var from *workers.Reused
	for i := range items {
		all[i] = f.blank(s, i, items[i])
		out, why, ok := f.recall(f.itemUnit(s, &all[i], i, items[i]))
		if !ok {
			first = why
			continue
		}
		reused, from = reused+1, out.Reused
		all[i].Status, all[i].Outputs, all[i].Metrics = target.Succeeded, outputsOf(s, out), out.Metrics
	}
	if reused < len(items) {
		return Foresight{Verdict: WillRun, Why: fmt.Sprintf("%d of %d items are done anew: %s", len(items)-reused, len(items), first)}
	}
	p.Status = target.Succeeded
	f.lists(s, p, items, all)
	return Foresight{Verdict: WillReuse, Why: fmt.Sprintf("nothing that decides the results of its %d items has changed", len(items)), Reused: from}
}

// recall asks for earlier results of one unit.
func (f *forecast) recall(u *unit) (workers.Outcome, string, bool) {
	got := Evaluated{}
	e := f.evaluation(u)
	if e.Texts, e.Depths = pending(u.s); len(e.Texts) > 0 {
		var err error
		if got, err = f.oracle.Evaluate(e); err != nil || got.Error != "" {
			return workers.Outcome{}, "its values cannot be told before the run: " + got.Error, false
		}
	}
	for _, in := range u.s.Inputs {
		if !in.List {
			continue
		}
		list, err := text(f.known(in.Value, "inputs/"+in.Name, got))
		if err != nil {
			return workers.Outcome{}, err.Error(), false
		}
		ref, err := f.oracle.Gather(list)
		if err != nil {
			return workers.Outcome{}, err.Error(), false
		}
		got.Results = with(got.Results, map[string]any{"inputs/" + in.Name: string(ref)})
	}
	if len(u.place.Targets) == 0 {
		return workers.Outcome{}, "it has no target", false
	}
	u.p.Place = &u.place.Targets[0]
	u.p.Job = u.job(f.in.Run, 1)
	_, _, work, err := f.work(u, got)
	sub, isJob := work.(workers.Submission)
	if err != nil || !isJob {
		return workers.Outcome{}, "its job cannot be told before the run", false
	}
	return f.oracle.Recall(sub)
}

// Changes reports whether anything would be done anew.
func Changes(all []Foresight) bool {
	return slices.ContainsFunc(all, func(f Foresight) bool { return f.Verdict == WillRun || f.Verdict == Gated })
}
