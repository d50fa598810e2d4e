package flow

import (
	"slices"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// sameTrials reports whether the trials of an earlier run are such as this stage would
// have: it is written the same but for its limits, and what it needs is kept.
func (r *retry) sameTrials(s *plan.Stage, old *StageProgress) bool {
	i := slices.IndexFunc(r.before.Stages, func(b plan.Stage) bool { return b.Name == s.Name })
	if i < 0 || r.before.Stages[i].Sweep == nil || len(old.Items) == 0 {
		return false
	}
	before := r.before.Stages[i].Sweep
	alike, sweep := *s, *s.Sweep
	sweep.Trials, sweep.Parallel, sweep.Time, sweep.Failures = before.Trials, before.Parallel, before.Time, before.Failures
	alike.Sweep = &sweep
	return r.only(&alike, old)
}

// trials keeps the trials that have ended well or were stopped by the rule, and returns
// how many. The others are done again, with the settings that they had.
func (r *retry) trials(s *plan.Stage, old, p *StageProgress) (kept int) {
	all := slices.Clone(old.Items)
	if s.Sweep.Trials > 0 && len(all) > s.Sweep.Trials {
		all = all[:s.Sweep.Trials]
	}
	for i := range all {
		q := &all[i]
		trial := *q.Trial
		q.Trial = &trial
		if r.keepsTrial(s, q) {
			kept++
			if q.Status == Halted && s.Sweep.Rests && r.stillThere(q.Checkpoint) != "" {
				q.Status, q.Why = Resting, "" // with others beside it, it may go on
			}
			if q.Reused == nil {
				q.Reused = &workers.Reused{Run: r.was.Progress.Run, Job: q.Job, At: q.Ended}
			}
			continue
		}
		fresh := &Trial{Number: trial.Number, Settings: trial.Settings, Rung: trial.Rung, Budget: trial.Budget, Final: trial.Final}
		again := StageProgress{Name: q.Name, Label: q.Label, Status: target.Waiting, At: s.At, Trial: fresh, Checkpoint: r.stillThere(q.Checkpoint)}
		if again.Checkpoint == "" && s.Sweep.Rests {
			fresh.Rung, fresh.Budget = 0, s.Sweep.Stop.Rung(0)
		} else if again.Checkpoint != "" { // it goes on where it was
			fresh.Curve, fresh.Value, fresh.Steps, fresh.Earlier = trial.Curve, trial.Value, trial.Steps, q.Metrics
		}
		all[i] = again
	}
	p.Items = all
	return kept
}

// keepsTrial reports whether nothing of a trial is to be done again.
func (r *retry) keepsTrial(s *plan.Stage, q *StageProgress) bool {
	switch {
	case q.Status == Resting:
		return r.stillThere(q.Checkpoint) != ""
	case q.Status == Halted && q.Trial.Cut:
		return false // a limit was the reason
	case q.Status != target.Succeeded && q.Status != Halted:
		return false
	}
	for _, o := range s.Outputs {
		if ref, isText := q.Outputs[o.Name].(string); isText && isArtifact(o.Type) && !r.o.There(target.Ref(ref)) {
			return false
		}
	}
	return true
}
