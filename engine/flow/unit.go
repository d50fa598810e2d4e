package flow

import (
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// unit is one thing to be done: a stage, or a stage for one of its items.
type unit struct {
	s      *plan.Stage
	p      *StageProgress
	place  plan.Place
	number int            // of the item, from 1; 0 when there are none
	item   map[string]any // what expressions see of the item: "matrix", "each" or "trial"
	sweep  *tuning        // nil: it is no trial
}

// whole is a stage that is done once.
func whole(s *plan.Stage, p *StageProgress) *unit {
	return &unit{s: s, p: p, place: placeOf(s, nil)}
}

// placeOf is where a stage runs for an item: as the item says, else as the stage does.
func placeOf(s *plan.Stage, item *plan.Item) plan.Place {
	if item != nil && item.Own != nil {
		return *item.Own
	}
	return plan.Place{Targets: s.Targets, Asks: s.Asks, Launch: s.Launch, Group: s.Group}
}

// key names the unit within its run.
func (u *unit) key() string {
	if u.number > 0 {
		return fmt.Sprintf("%s.%d", u.s.Name, u.number)
	}
	return u.s.Name
}

// job is the id of an attempt. The part behind the last dot tells items from stages
// whose own names look like them.
func (u *unit) job(run string, attempt int) string {
	if u.number > 0 {
		return fmt.Sprintf("%s.%s.%d-%d", run, u.s.Name, u.number, attempt)
	}
	return fmt.Sprintf("%s.%s.%d", run, u.s.Name, attempt)
}

// unit decides whether u is done at all, and does it.
func (r *run) unit(w World, u *unit) {
	got, err := r.resolve(w, u)
	p := u.p
	p.Because = got.Because
	switch {
	case w.Err() != nil && !r.mayRun(w, u.s, p):
		p.Status, p.Why = target.Cancelled, "the run was cancelled before it began"
	case err != nil:
		r.fail(w, p, "expression", "its expressions could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(w, p, "expression", got.Error)
		r.pointTo(u.s, p, got.At)
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
	case u.s.Approve != nil:
		r.approve(w, u, got)
	default:
		release, ok := r.acquire(w, u)
		if ok {
			r.attempts(w, u, got)
			release()
		}
	}
}

// attempts does the unit until it succeeds or its retries are used up; with `until`
// it goes on until that holds. A unit that was under way in another world goes on with
// the attempt that it had come to.
func (r *run) attempts(w World, u *unit, got Evaluated) {
	s, p := u.s, u.p
	resumed := p.Attempts > 0
	if resumed && p.Status == target.Waiting {
		if resumed = false; !r.again(w, u) {
			return
		}
	}
	if !r.placed(w, u) {
		return
	}
	if p.Started.IsZero() {
		p.Started = w.Now()
	}
	p.Status = target.Running
	for {
		goesOn := resumed
		if resumed = false; !goesOn {
			p.Attempts++
			p.Begun = w.Now()
		}
		p.Job = u.job(r.in.Run, p.Attempts)
		if p.Resumed = p.Checkpoint; p.Resumed != "" && !goesOn && len(p.Notes) < maxNotes {
			p.Notes = append(p.Notes, fmt.Sprintf("attempt %d begins from a checkpoint of the one before", p.Attempts))
		}
		out := r.attempt(w, u, got)
		r.record(w, u, out)
		if out.Cause == target.CauseOOM && s.Retry.Grow > 0 {
			p.Grown++
		}
		if w.Err() != nil || !r.repeats(w, u, out) {
			return
		}
		if len(u.place.Targets) > 1 && w.Rechoose() && ofTarget[out.Cause] {
			p.Place = nil
		}
		if !r.again(w, u) {
			return
		}
	}
}

// ofTarget are the causes of failures after which another target may do better.
var ofTarget = map[target.Cause]bool{target.CauseLost: true, target.CausePreempted: true, target.CauseCapacity: true, target.CauseStart: true}

// placed chooses where the next attempt goes, unless that is decided.
func (r *run) placed(w World, u *unit) bool {
	p := u.p
	if u.s.Nested != nil || p.Place != nil {
		return true
	}
	at, err := r.choose(w, u.place.Targets, p)
	if err != nil {
		r.fail(w, p, target.CauseStart, "no target could be chosen: "+message(err))
		return false
	}
	p.Target, p.Place = at.Name, &at
	if len(u.place.Targets) > 1 {
		w.Keep() // it could be another one next time
	}
	return true
}

// repeats decides after an attempt whether there is another one, and when.
func (r *run) repeats(w World, u *unit, out workers.Outcome) bool {
	s, p := u.s, u.p
	pause, note := time.Duration(0), ""
	switch tries := p.Failures + 1; {
	case p.Status == target.Succeeded && s.Until == nil:
		return false
	case p.Status == target.Succeeded:
		rounds := p.Rounds + 1
		enough := r.enough(w, u, rounds)
		if enough || p.Status != target.Succeeded {
			return false
		}
		pause, note = time.Duration(s.Until.Every), fmt.Sprintf("round %d of %d: `until` does not hold yet", rounds, s.Until.Attempts)
		if rounds >= s.Until.Attempts {
			r.fail(w, p, CauseUntil, fmt.Sprintf("`until` did not hold in %d rounds", rounds))
			r.pointTo(s, p, "until")
			return false
		}
		p.Rounds, p.Failures, p.Spent = rounds, 0, nil
	case r.budgeted(u, out):
		name, most := s.Retry.Budget(out.Cause, out.Exit)
		pause, note = backoff(s.Retry, p.Spent[name]), fmt.Sprintf("%s, %d of %d: %s", name, p.Spent[name], most, p.Error)
	case tries >= s.Retry.Attempts || !s.Retry.Covers(out.Cause, out.Exit):
		return false
	default:
		pause, note = backoff(s.Retry, tries), fmt.Sprintf("attempt %d of %d: %s", tries, s.Retry.Attempts, p.Error)
		p.Failures = tries
	}
	if len(p.Notes) < maxNotes {
		p.Notes = append(p.Notes, note)
	}
	p.Status, p.Why, p.Next, p.Ended = target.Waiting, "to be tried again", w.Now().Add(pause), time.Time{}
	w.Touch(p)
	return true
}

// budgeted pays an attempt from the budget of its cause, if there is one that is not
// spent.
func (r *run) budgeted(u *unit, out workers.Outcome) bool {
	name, most := u.s.Retry.Budget(out.Cause, out.Exit)
	if name == "" || out.Cause == target.CauseCancel || u.p.Spent[name] >= most {
		return false
	}
	if u.p.Spent == nil {
		u.p.Spent = map[string]int{}
	}
	u.p.Spent[name]++
	return true
}

// maxNotes bounds what is remembered of attempts that were not the last.
const maxNotes = 50

// again waits until the time of the next attempt, and is false when the run was
// cancelled meanwhile.
func (r *run) again(w World, u *unit) bool {
	p := u.p
	err := w.Sleep(max(p.Next.Sub(w.Now()), 0))
	p.Next = time.Time{}
	if err != nil {
		p.Status, p.Why, p.Ended = target.Cancelled, "the run was cancelled before it was tried again", w.Now()
		p.Error, p.Cause = "", target.CauseCancel
		return false
	}
	if !r.placed(w, u) { // while it waits: what is not running has not begun
		return false
	}
	p.Status, p.Why, p.Error, p.Cause, p.Exit, p.Tail, p.Signal, p.At = target.Running, "", "", "", nil, nil, 0, u.s.At
	return true
}

// CauseUntil is the cause of a stage whose `until` never held.
const CauseUntil target.Cause = "until"

// enough asks whether `until` holds. A mistake in it fails the unit.
func (r *run) enough(w World, u *unit, round int) bool {
	when := u.s.Until.When
	if when.Expr == "" {
		return when.Known == true
	}
	e := r.evaluation(u)
	e.If, e.IfDepth = when.Expr, when.Depth
	e.Own = map[string]any{"outputs": orEmpty(u.p.Outputs), "metrics": u.p.numbers(u.s.Metrics), "attempt": round}
	got, err := w.Evaluate(e)
	switch {
	case err != nil:
		r.fail(w, u.p, "expression", "`until` could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(w, u.p, "expression", got.Error)
		r.pointTo(u.s, u.p, "until")
	}
	return got.If && u.p.Status == target.Succeeded
}

// attempt runs one job, deployment or pipeline and says what became of it.
func (r *run) attempt(w World, u *unit, got Evaluated) workers.Outcome {
	if u.s.Nested != nil {
		return r.nested(w, u, got)
	}
	if err := r.gather(w, u, &got); err != nil {
		return unstarted(message(err))
	}
	do, undo, work, err := r.work(u, got)
	if err != nil {
		return unstarted(err.Error())
	}
	task := Task{ID: u.p.Job, Do: do, Undo: undo, Work: work, Progress: u.p}
	if u.sweep != nil {
		task = u.sweep.task(u, task)
	}
	if u.s.Deploy != nil {
		return r.deploy(w, u, task)
	}
	return r.enlist(w, u, got, w.Attempt(task))
}

func unstarted(reason string) workers.Outcome {
	return workers.Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: reason}}
}

// Unstarted is the outcome of what could not be begun.
func Unstarted(err error) workers.Outcome { return unstarted(message(err)) }

// Words is the innermost text of an error: what a person can use.
func Words(err error) string { return message(err) }

// numbers are metrics as expressions see them.
func (p *StageProgress) numbers(declared []plan.Output) map[string]any {
	all := make(map[string]any, len(declared))
	for _, m := range declared {
		if v, ok := p.Metrics[m.Name]; ok {
			all[m.Name] = v
		}
	}
	return all
}
