package flow

import (
	"fmt"
	"maps"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// The states of trials, beside those of stages.
const (
	Halted  target.State = "stopped" // before its end, by the rule or a limit of its sweep
	Resting target.State = "paused"  // at a rung; it may go on from its checkpoint
)

// SweepProgress is how a sweep stands.
type SweepProgress struct {
	Objective tune.Goal `json:"objective"`
	Trials    int       `json:"trials,omitempty"` // that there will be, at most; 0: until its time is over
	Best      string    `json:"best,omitempty"`   // the name of the best trial so far: "tune[7]"
	// Trial are the settings of the best one, and its number, as expressions see them.
	Trial map[string]any `json:"trial,omitempty"`
	// Over says which limit ended it; Failed that it was that of failures.
	Over   string `json:"over,omitempty"`
	Failed bool   `json:"failed,omitempty"`
}

// Trial is what a trial has beside what any item of a stage has.
type Trial struct {
	Number   int           `json:"number"`
	Settings tune.Settings `json:"settings"`
	Value    *float64      `json:"value,omitempty"` // the last of the objective
	Steps    float64       `json:"steps,omitempty"` // that it has done
	Curve    tune.Curve    `json:"curve,omitzero"`
	Rung     int           `json:"rung,omitempty"`   // to which it goes, when trials rest
	Budget   float64       `json:"budget,omitempty"` // the steps of this attempt; 0: no bound
	Final    bool          `json:"final,omitempty"`  // it goes to its end
	Attempt  int           `json:"attempt,omitempty"`
	// Earlier are metrics of the attempts that this one goes on from.
	Earlier map[string]float64 `json:"earlier,omitempty"`
	Read    int64              `json:"read,omitempty"` // bytes of the attempt's metrics that are in Curve
	// Stop says why it is to be stopped, which is on record before anything is done about
	// it. Cut tells that a limit was the reason, and Rest that it is to rest.
	Stop string `json:"stop,omitempty"`
	Cut  bool   `json:"cut,omitempty"`
	Rest bool   `json:"rest,omitempty"`
}

// tuning is a sweep under way. What it decides is on record before it is done: which
// settings a trial has, that it is to stop, that it goes on. A process that was killed has
// done nothing that is not known, and who takes over decides the rest.
type tuning struct {
	*run
	s       *plan.Stage
	p       *StageProgress
	sw      *plan.Sweep
	under   map[int]bool // trials that a thread is at work on
	decided bool         // something that is not on record yet
	none    bool         // there are no more settings
	enrols  bool         // what is put together is for the registry of models
}

// sweep runs a stage as trials, and takes the results of the best.
func (r *run) sweep(w World, s *plan.Stage, p *StageProgress) {
	if p.Sweep == nil {
		if !r.wanted(w, s, p) {
			return
		}
		p.Sweep = &SweepProgress{Objective: s.Sweep.Objective, Trials: s.Sweep.Trials}
	}
	t := &tuning{run: r, s: s, p: p, sw: s.Sweep, under: map[int]bool{}}
	if p.Status = target.Running; p.Started.IsZero() {
		p.Started = w.Now()
	}
	most := t.sw.Trials
	if most == 0 {
		most = plan.MaxTrials
	}
	items := make([]StageProgress, len(p.Items), max(most, len(p.Items))) // threads point into it
	copy(items, p.Items)
	p.Items = items
	t.carryOut(w)
	if w.Err() == nil {
		t.dismiss()
	}
	t.gathered(w, t.enrol(w))
}

// enrol has the models of the best trial kept under their names. Those of the others are
// nobody's models.
func (t *tuning) enrol(w World) workers.Outcome {
	best := t.best()
	none := workers.Outcome{Status: target.Status{State: target.Succeeded}}
	if best == nil || t.p.Sweep.Failed || len(t.s.Models) == 0 && len(best.Enlisted) == 0 || w.Err() != nil {
		return none
	}
	u := t.unitOf(best.Trial.Number)
	t.enrols = true
	got, err := t.resolve(w, u)
	if err == nil {
		err = t.gather(w, u, &got)
	}
	if err != nil {
		return Unstarted(err)
	}
	_, _, work, err := t.work(u, got)
	sub, ok := work.(workers.Submission)
	if err != nil || !ok {
		return Unstarted(fmt.Errorf("its models could not be kept: %w", err))
	}
	none.End, none.Metrics, none.Reused, none.Artifacts = best.Ended, best.Metrics, best.Reused, map[string]target.Ref{}
	none.Enlisted = best.Enlisted
	for _, o := range t.s.Outputs {
		if ref, isText := best.Outputs[o.Name].(string); isText && isArtifact(o.Type) {
			none.Artifacts[o.Name] = target.Ref(ref)
		}
	}
	return w.Attempt(Task{ID: best.Job + ".models", Do: workers.Enrol, Undo: workers.Enrol, Work: workers.Enrolment{Submission: sub, Outcome: none}, Progress: t.p})
}

// wanted decides whether the stage runs at all.
func (r *run) wanted(w World, s *plan.Stage, p *StageProgress) bool {
	if s.If == nil {
		return true
	}
	e := Evaluation{Values: r.values(needNames(s.Needs)), Failed: r.upstreamFailed(s), Frames: s.Frames, If: s.If.Expr, IfDepth: s.If.Depth}
	got := Evaluated{If: s.If.Known}
	if e.If != "" {
		var err error
		got, err = w.Evaluate(e)
		p.Because = got.Because
		if err != nil {
			got.Error = "its condition could not be evaluated: " + err.Error()
		}
	}
	switch {
	case w.Err() != nil:
		p.Status, p.Why = target.Cancelled, "the run was cancelled before it began"
	case got.Error != "":
		r.fail(w, p, "expression", got.Error)
		r.pointTo(s, p, got.At)
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
	default:
		return true
	}
	return false
}

func (t *tuning) carryOut(w World) {
	away, release := w.Apart() // a cancelled run still waits for its trials to end
	defer release()
	t.begin(w)
	for {
		if w.Err() == nil {
			t.decide(w)
		}
		if t.decided {
			t.counted()
			w.Touch(t.p)
			w.Keep()
			t.decided = false
			t.begin(w)
			continue
		}
		if len(t.under) == 0 {
			return
		}
		before := len(t.under)
		stirred := func() bool { return t.decided || len(t.under) < before }
		if limit := t.left(w); limit >= 0 && t.p.Sweep.Over == "" && w.Err() == nil {
			_, _ = away.AwaitFor(limit, stirred)
			continue
		}
		_ = away.Await(stirred)
	}
}

// left is the time that is left; below zero: there is no bound.
func (t *tuning) left(w World) time.Duration {
	if t.sw.Time == 0 {
		return -1
	}
	return max(t.p.Started.Add(time.Duration(t.sw.Time)).Sub(w.Now()), 0)
}

// begin has threads do what is on record and not at its end.
func (t *tuning) begin(w World) {
	for i := range t.p.Items {
		if st := t.p.Items[i].Status; t.under[i] || st.Ended() {
			continue
		}
		t.under[i] = true
		w.Go(func(w World) {
			t.trial(w, i)
			delete(t.under, i)
			t.counted()
			w.Touch(&t.p.Items[i])
			w.Touch(t.p)
		})
	}
}

// trial brings one trial to its end, or to where it rests.
func (t *tuning) trial(w World, i int) {
	q := &t.p.Items[i]
	u := t.unitOf(i)
	if q.Trial.Stop != "" || q.Trial.Rest {
		t.halt(w, u)
	} else {
		t.run.unit(w, u)
	}
	t.settle(w, q)
}

// unitOf is a trial as something to be done.
func (t *tuning) unitOf(i int) *unit {
	q := &t.p.Items[i]
	names := map[string]any{"number": q.Trial.Number, "steps": q.Trial.Budget}
	maps.Copy(names, q.Trial.Settings)
	return &unit{s: t.s, p: q, place: placeOf(t.s, nil), number: i + 1, item: map[string]any{"trial": names}, sweep: t}
}

// halt ends what is under way of a trial.
func (t *tuning) halt(w World, u *unit) {
	p := u.p
	if p.Attempts == 0 || p.Status == target.Waiting { // what follows may have begun all the same, on no record
		p.Status, p.Cause, p.Ended, p.Next = target.Cancelled, target.CauseCancel, w.Now(), time.Time{}
		if !w.Unsure() || p.Place == nil && len(u.place.Targets) > 1 {
			return
		}
		p.Attempts++
	}
	got, err := t.resolve(w, u)
	if err != nil || got.Error != "" || !t.placed(w, u) {
		return // it could not have begun
	}
	p.Job, p.Resumed = u.job(t.in.Run, p.Attempts), p.Checkpoint
	if err := t.gather(w, u, &got); err != nil {
		return
	}
	do, undo, work, err := t.work(u, got)
	if err != nil {
		return
	}
	t.record(w, u, w.Undo(t.task(u, Task{ID: p.Job, Do: do, Undo: undo, Work: work, Progress: p})))
}

// counted adds the trials up.
func (t *tuning) counted() {
	c := &Count{Total: len(t.p.Items)}
	for i := range t.p.Items {
		if st := t.p.Items[i].Status; st.Ended() && st != Resting {
			c.add(st)
		}
	}
	t.p.Count = c
	if best := t.best(); best != nil {
		known := map[string]any{"number": best.Trial.Number}
		maps.Copy(known, best.Trial.Settings)
		t.p.Sweep.Best, t.p.Sweep.Trial = best.Name, known
	}
}

// best is the trial with the best value among those that came to their end; when none
// did, among those that left results where they were stopped.
func (t *tuning) best() *StageProgress {
	var best *StageProgress
	for i := range t.p.Items {
		q := &t.p.Items[i]
		switch {
		case q.Trial.Value == nil || q.Status != target.Succeeded && (q.Status != Halted && q.Status != Resting || q.Outputs == nil):
		case best == nil, q.Status == target.Succeeded && best.Status != target.Succeeded:
			best = q
		case (q.Status == target.Succeeded) == (best.Status == target.Succeeded) && t.sw.Objective.Better(*q.Trial.Value, *best.Trial.Value):
			best = q
		}
	}
	return best
}

// gathered makes the end of the stage out of the ends of its trials.
func (t *tuning) gathered(w World, models workers.Outcome) {
	p := t.p
	p.Ended = w.Now()
	t.counted()
	best, first := t.best(), t.firstFailure()
	switch {
	case w.Err() != nil:
		p.Status, p.Cause = target.Cancelled, target.CauseCancel
	case models.State != target.Succeeded:
		p.Status, p.Cause, p.Error = target.Failed, models.Cause, models.Reason
	case best != nil && !p.Sweep.Failed:
		p.Models, p.Notes = models.Models, append(p.Notes, models.Notes...)
		p.Status = target.Succeeded
		p.Target, p.Outputs, p.Metrics, p.Log, p.Logs = best.Target, best.Outputs, best.Metrics, best.Log, best.Logs
		if best.Status != target.Succeeded {
			p.Notes = append(p.Notes, fmt.Sprintf("no trial came to its end; the best was %s after %s steps", best.Status, number(best.Trial.Steps)))
		}
	default:
		t.failed(first)
	}
}

// failed says why there is no result, and shows the trial that failed first.
func (t *tuning) failed(first *StageProgress) {
	p := t.p
	p.Status, p.Cause = target.Failed, CauseSweep
	c := p.Count
	ends := fmt.Sprintf("%d succeeded, %d failed, %d stopped", c.Succeeded, c.Failed, c.Stopped)
	switch {
	case p.Sweep.Failed:
		p.Error = p.Sweep.Over + ": " + ends
	case len(p.Items) == 0:
		p.Error = "it has no trial"
	default:
		p.Error = fmt.Sprintf("none of %d trials came to its end with a %s: %s", len(p.Items), t.sw.Objective.Metric, ends)
	}
	t.pointTo(t.s, p, "sweep")
	if first == nil {
		return
	}
	p.Error += fmt.Sprintf("; the first that failed, %s (%s): %s", first.Name, first.Label, first.Error)
	p.Exit, p.Signal, p.Tail, p.At = first.Exit, first.Signal, first.Tail, first.At
	p.Job, p.Place, p.Target, p.Log, p.Logs, p.Rank, p.Secrets = first.Job, first.Place, first.Target, first.Log, first.Logs, first.Rank, first.Secrets
}

// CauseSweep is the cause of a sweep that has no result.
const CauseSweep target.Cause = "sweep"

func (t *tuning) firstFailure() *StageProgress {
	for i := range t.p.Items {
		if st := t.p.Items[i].Status; st == target.Failed || st == target.Lost {
			return &t.p.Items[i]
		}
	}
	return nil
}
