package flow

import (
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/workflow"
)

// unit is one thing to be done: a stage, or a stage for one of its items.
type unit struct {
	s      *plan.Stage
	p      *StageProgress
	place  plan.Place
	number int            // of the item, from 1; 0 when there are none
	item   map[string]any // what expressions see of the item: "matrix" or "each"
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
	return plan.Place{Targets: s.Targets, Asks: s.Asks, Group: s.Group}
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
func (r *run) unit(ctx workflow.Context, u *unit) {
	got, err := r.resolve(ctx, u)
	p := u.p
	p.Because = got.Because
	switch {
	case ctx.Err() != nil:
		p.Status, p.Why = target.Cancelled, "the run was cancelled before it began"
	case err != nil:
		r.fail(ctx, p, "expression", "its expressions could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(ctx, p, "expression", got.Error)
		r.pointTo(u.s, p, got.At)
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
	case u.s.Approve != nil:
		r.approve(ctx, u, got)
	default:
		release, ok := r.acquire(ctx, u)
		if ok {
			r.attempts(ctx, u, got)
			release()
		}
	}
}

// attempts does the unit until it succeeds or its retries are used up; with `until`
// it goes on until that holds.
func (r *run) attempts(ctx workflow.Context, u *unit, got Evaluated) {
	s, p := u.s, u.p
	if s.Nested == nil {
		at, err := r.choose(ctx, u.place.Targets, p)
		if err != nil {
			r.fail(ctx, p, target.CauseStart, "no target could be chosen: "+message(err))
			return
		}
		p.Target, p.Place = at.Name, &at
	}
	p.Status, p.Started = target.Running, workflow.Now(ctx)
	for tries, rounds := 1, 1; ; {
		p.Attempts++
		p.Job = u.job(r.in.Run, p.Attempts)
		out := r.attempt(ctx, u, got)
		r.record(ctx, u, out)
		pause, note := time.Duration(0), ""
		switch {
		case ctx.Err() != nil:
			return
		case p.Status == target.Succeeded && s.Until == nil:
			return
		case p.Status == target.Succeeded:
			enough := r.enough(ctx, u, rounds)
			if enough || p.Status != target.Succeeded {
				return
			}
			pause, note = time.Duration(s.Until.Every), fmt.Sprintf("round %d of %d: `until` does not hold yet", rounds, s.Until.Attempts)
			if rounds >= s.Until.Attempts {
				r.fail(ctx, p, CauseUntil, fmt.Sprintf("`until` did not hold in %d rounds", rounds))
				r.pointTo(s, p, "until")
				return
			}
			rounds, tries = rounds+1, 1
		case tries >= s.Retry.Attempts || !s.Retry.Covers(out.Cause, out.Exit):
			return
		default:
			pause, note = backoff(s.Retry, tries), fmt.Sprintf("attempt %d of %d: %s", tries, s.Retry.Attempts, p.Error)
			tries++
		}
		if !r.again(ctx, u, pause, note) {
			return
		}
	}
}

// maxNotes bounds what is remembered of attempts that were not the last.
const maxNotes = 50

// again waits before the next attempt, and is false when the run was cancelled meanwhile.
func (r *run) again(ctx workflow.Context, u *unit, pause time.Duration, note string) bool {
	p := u.p
	if len(p.Notes) < maxNotes {
		p.Notes = append(p.Notes, note)
	}
	p.Status, p.Why, p.Ended = target.Waiting, "to be tried again", time.Time{}
	if err := workflow.Sleep(ctx, pause); err != nil {
		p.Status, p.Why, p.Ended = target.Cancelled, "the run was cancelled before it was tried again", workflow.Now(ctx)
		p.Error, p.Cause = "", target.CauseCancel
		return false
	}
	p.Status, p.Why, p.Error, p.Cause, p.Exit, p.Tail, p.Signal, p.At = target.Running, "", "", "", nil, nil, 0, u.s.At
	return true
}

// CauseUntil is the cause of a stage whose `until` never held.
const CauseUntil target.Cause = "until"

// enough asks whether `until` holds. A mistake in it fails the unit.
func (r *run) enough(ctx workflow.Context, u *unit, round int) bool {
	w := u.s.Until.When
	if w.Expr == "" {
		return w.Known == true
	}
	e := r.evaluation(u)
	e.If, e.IfDepth = w.Expr, w.Depth
	e.Own = map[string]any{"outputs": orEmpty(u.p.Outputs), "metrics": u.p.numbers(u.s.Metrics), "attempt": round}
	got, err := r.evaluate(ctx, e)
	switch {
	case err != nil:
		r.fail(ctx, u.p, "expression", "`until` could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(ctx, u.p, "expression", got.Error)
		r.pointTo(u.s, u.p, "until")
	}
	return got.If && u.p.Status == target.Succeeded
}

// attempt runs one job, deployment or pipeline and says what became of it.
func (r *run) attempt(ctx workflow.Context, u *unit, got Evaluated) workers.Outcome {
	if u.s.Nested != nil {
		return r.nested(ctx, u, got)
	}
	if err := r.gather(ctx, u, &got); err != nil {
		return unstarted(message(err))
	}
	do, undo, work, err := r.work(u, got)
	if err != nil {
		return unstarted(err.Error())
	}
	var out workers.Outcome
	o := following
	o.ActivityID = u.p.Job // so that what Temporal says of it can be told of the stage
	long := workflow.WithActivityOptions(ctx, o)
	err = workflow.ExecuteActivity(long, do, work).Get(long, &out)
	if err == nil {
		return out
	}
	if ctx.Err() == nil {
		return unstarted(message(err))
	}
	return r.stop(ctx, undo, work)
}

func unstarted(reason string) workers.Outcome {
	return workers.Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: reason}}
}

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
