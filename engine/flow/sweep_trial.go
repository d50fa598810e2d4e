package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// task has the objective heard while a trial runs. A new attempt begins anew, unless it
// goes on from a checkpoint.
func (t *tuning) task(u *unit, task Task) Task {
	p := u.p
	if p.Trial.Attempt != p.Attempts {
		p.Trial.Attempt, p.Trial.Read = p.Attempts, 0
		p.Trial.Earlier = p.Metrics
		if p.Resumed == "" {
			p.Trial.Earlier, p.Trial.Curve, p.Trial.Value, p.Trial.Steps = nil, tune.Curve{}, nil, 0
		}
	}
	task.From = func() int64 { return p.Trial.Read }
	task.Heard = func(all []workers.Report) { t.heard(p, all) }
	return task
}

// heard takes what a trial has reported, and decides whether it goes on.
func (t *tuning) heard(p *StageProgress, all []workers.Report) {
	stop := t.sw.Stop
	if t.sw.Rests {
		stop = tune.Stop{} // they are judged where they rest
	}
	for _, r := range all {
		p.Trial.Read = r.Offset
		v, ok := r.Values[t.sw.Objective.Metric]
		if !ok {
			continue
		}
		judge := p.Trial.Curve.Add(stop, t.sw.Objective, tune.Report{Step: r.Step, Stepped: r.HasStep, Value: v})
		p.Trial.Steps = p.Trial.Curve.Steps
		p.Trial.Value = nil
		if v, ok := p.Trial.Curve.Number(); ok {
			p.Trial.Value = &v
		}
		switch {
		case p.Trial.Stop != "" || p.Trial.Rest:
		case t.sw.Rests && p.Trial.Budget > 0 && p.Trial.Curve.Steps > p.Trial.Budget:
			p.Trial.Rest, t.decided = true, true
		case judge:
			if why := stop.Judge(t.sw.Objective, t.curves(), p.Trial.Number); why != "" {
				p.Trial.Stop, t.decided = fmt.Sprintf("after %s steps: %s", number(p.Trial.Steps), why), true
			}
		}
	}
}

// settle says what became of a trial whose attempts are over.
func (t *tuning) settle(w World, q *StageProgress) {
	tr := q.Trial
	for _, name := range slices.Sorted(maps.Keys(tr.Earlier)) { // the last attempt may have had nothing left to say
		if _, said := q.Metrics[name]; !said && q.Metrics != nil {
			q.Metrics[name] = tr.Earlier[name]
		}
	}
	tr.Earlier = nil
	if tr.Value == nil && tr.Curve.Reports == 0 { // of results that were reused, nothing was heard
		if v, ok := q.Metrics[t.sw.Objective.Metric]; ok {
			tr.Value = &v
		}
	}
	switch {
	case w.Err() != nil && q.Status != target.Succeeded:
		return // the whole run is cancelled
	case q.Status == target.Succeeded && tr.diverged():
		t.fail(w, q, CauseDiverged, fmt.Sprintf("it diverged: the last %q that it reported is no finite number", t.sw.Objective.Metric))
		t.pointTo(t.s, q, "run")
	case q.Status == target.Succeeded && tr.Value == nil:
		t.fail(w, q, workers.CauseOutput, fmt.Sprintf("it ended without a number as %q: append {%q: …} as a line of JSON to $AMLFLOW_METRICS", t.sw.Objective.Metric, t.sw.Objective.Metric))
		t.pointTo(t.s, q, "run")
	case q.Status == target.Succeeded && t.restsNow(q):
		t.rest(q)
	case q.Status == target.Succeeded:
		q.Checkpoint = ""
	case tr.Stop != "" && q.Status == target.Cancelled:
		q.Status, q.Why = Halted, tr.Stop
		t.clear(q)
		if !tr.Cut {
			q.Checkpoint = "" // nobody goes on from it
		}
	case tr.Rest && q.Status == target.Cancelled:
		t.rest(q)
	case q.Status == target.Cancelled:
		t.fail(w, q, target.CauseCancel, "somebody else ended it")
	}
	tr.Rest = false
}

// restsNow reports whether a trial has come to its rung, and not to its end.
func (t *tuning) restsNow(q *StageProgress) bool {
	tr := q.Trial
	if !t.sw.Rests || tr.Final || t.sw.Stop.Top(tr.Rung) {
		return false
	}
	return !tr.Curve.Stepped || tr.Curve.Steps >= tr.Budget // else its script was at its end before
}

func (t *tuning) rest(q *StageProgress) {
	q.Trial.Curve.Rest(q.Trial.Rung)
	q.Status, q.Why = Resting, "waits at "+number(q.Trial.Budget)+" steps"
	t.clear(q)
}

// clear takes away what is said of a job that failed: this one was asked to end.
func (t *tuning) clear(q *StageProgress) {
	q.Error, q.Cause, q.Exit, q.Signal, q.Tail, q.At = "", "", nil, 0, nil, t.s.At
}

// trialEnv adds the variables that tell a trial which one it is.
func (q *StageProgress) trialEnv(env map[string]string) error {
	settings, err := json.Marshal(q.Trial.Settings)
	if err != nil {
		return err
	}
	env["AMLFLOW_TRIAL"], env["AMLFLOW_TRIAL_PARAMS"] = strconv.Itoa(q.Trial.Number), string(settings)
	if q.Trial.Budget > 0 {
		env["AMLFLOW_TRIAL_STEPS"] = strconv.FormatFloat(q.Trial.Budget, 'f', -1, 64)
	}
	return nil
}

// CauseDiverged is the cause of a trial that came to its end with NaN, or an infinity. It
// says something of its settings, and nothing of the script.
const CauseDiverged target.Cause = "diverged"

func (tr *Trial) diverged() bool { return tr.Value == nil && tr.Curve.Reports > 0 }
