// Package workers carries out jobs and deployments: it lends target drivers to
// Temporal as activities. Temporal ends here; drivers know nothing of it.
package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// The names under which the activities are registered. They are part of every
// stored history and never change.
const (
	Choose   = "amlflow.choose"
	Run      = "amlflow.run"
	Stop     = "amlflow.stop"
	Deploy   = "amlflow.deploy"
	Withdraw = "amlflow.withdraw"
	Clean    = "amlflow.clean"
	Gather   = "amlflow.gather"
	Forget   = "amlflow.forget"
	Enrol    = "amlflow.enrol"
)

// The bounds of following a job. A worker that stays silent for Heartbeat is
// taken for dead, and another goes on following.
const (
	Heartbeat = 5 * time.Second
	beat      = time.Second
	lookFirst = 2 * time.Millisecond
	lookMost  = 200 * time.Millisecond
)

// Activities is everything a workflow may ask a worker to do.
type Activities struct {
	Drivers map[string]target.Driver               // by kind
	Store   func(dir string) (target.Blobs, error) // opens an artifact store
	// Secrets fetches the values of a submission's secrets, by variable. An error
	// says which cannot be had, and never a value.
	Secrets func(ctx context.Context, s Submission) (map[string]string, error)
	// Discard removes what was kept for the secrets of a run.
	Discard func(run string) error
}

// Register makes the activities known under their names.
func (a *Activities) Register(r interface {
	RegisterActivityWithOptions(a any, o activity.RegisterOptions)
}) {
	for name, f := range map[string]any{Choose: a.Choose, Run: a.Run, Stop: a.Stop, Deploy: a.Deploy, Withdraw: a.Withdraw, Clean: a.Clean, Gather: a.Gather, Forget: a.Forget, Enrol: a.Enrol, Route: a.Route} {
		r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// Try does what an activity does, by its name and with its argument, for somebody who
// gives signs of life himself: within another activity. It tells which try this is, from
// 1 on. An error is one after which it may be tried again.
func (a *Activities) Try(ctx context.Context, name string, work any, try int) (Outcome, error) {
	ctx = Quiet(ctx, try)
	switch w := work.(type) {
	case Submission:
		if name == Stop {
			return a.Stop(ctx, w)
		}
		return a.Run(ctx, w)
	case Enrolment:
		return a.Enrol(ctx, w)
	case Rollout:
		if name == Withdraw {
			return a.Withdraw(ctx, w)
		}
		return a.Deploy(ctx, w)
	}
	return Outcome{}, fmt.Errorf("%T is no work for %q: %w", work, name, target.ErrPermanent) // a mistake of ours
}

// Final reports whether trying again cannot mend err.
func Final(err error) bool {
	var app *temporal.ApplicationError
	return errors.Is(err, target.ErrPermanent) || errors.As(err, &app) && app.NonRetryable()
}

// Quiet is ctx for what gives no signs of life itself.
func Quiet(ctx context.Context, try int) context.Context {
	return context.WithValue(ctx, lifeKey{}, living{beat: func(any) {}, try: func() int { return try }})
}

// living is how what is done tells that it is under way.
type living struct {
	beat func(detail any)
	try  func() int
}

type lifeKey struct{}

// life is that of the activity that ctx belongs to, unless somebody else vouches for it.
func life(ctx context.Context) living {
	if l, ok := ctx.Value(lifeKey{}).(living); ok {
		return l
	}
	return living{
		beat: func(detail any) { activity.RecordHeartbeat(ctx, detail) },
		try:  func() int { return int(activity.GetInfo(ctx).Attempt) },
	}
}

// Run submits a job, follows it to its end and collects what it left. Called
// again after a worker died, it finds the same job and goes on following.
func (a *Activities) Run(ctx context.Context, s Submission) (Outcome, error) {
	d, blobs, err := a.tools(s)
	if err != nil {
		return Outcome{}, err
	}
	old, why, ok := Recall(ctx, blobs, s)
	if ok && !begun(ctx, d, s) {
		err = enter(ctx, blobs, s, &old)
		return old, err
	}
	if s.Job.Secrets, err = a.values(ctx, s); err != nil {
		return withoutSecrets(ctx, d, s, err)
	}
	v := newVeil(s.Job.Secrets)
	s.Job.Models = s.Store
	submit := func(ctx context.Context) error { return d.Submit(ctx, s.Target, s.Job, blobs) }
	doubt := doubtOf(ctx)
	if err := v.error(beating(ctx, submit)); err != nil {
		if doubt.heed(err); doubt.holds(err) {
			return doubt.unheard(s, err)
		}
		return refused(ctx, err, s.patience())
	}
	doubt.Maybe, doubt.known = true, true
	o, err := end(ctx, d, s, blobs, v)
	o.Fresh = why
	if err == nil {
		remember(ctx, blobs, s, o)
		err = enter(ctx, blobs, s, &o)
	}
	return o, err
}

// begun reports whether the job itself was started before: then its own results count,
// and not those of another that it could have had instead.
func begun(ctx context.Context, d target.Driver, s Submission) bool {
	st, err := d.Status(ctx, s.Target, s.Job.ID)
	return err != nil || st.State != target.Lost
}

// Stop ends a job, whether or not it was ever submitted, and returns when
// nothing of it is alive.
func (a *Activities) Stop(ctx context.Context, s Submission) (Outcome, error) {
	d, blobs, err := a.tools(s)
	if err != nil {
		return Outcome{}, err
	}
	if err := d.Cancel(ctx, s.Target, s.Job.ID, target.CauseCancel); err != nil {
		if doubt := doubtOf(ctx); doubt.holds(err) {
			return doubt.unheard(s, err)
		}
		return Outcome{}, err
	}
	s.Queue = 0 // however long it has waited, it was cancelled
	secrets, err := a.values(ctx, s)
	if err != nil {
		return blindly(ctx, d, s, err)
	}
	o, err := end(ctx, d, s, blobs, newVeil(secrets))
	if err == nil {
		err = enter(ctx, blobs, s, &o)
	}
	return o, err
}

// tools are what a submission needs: the driver of its target and its store.
func (a *Activities) tools(s Submission) (target.Driver, target.Blobs, error) {
	d, err := a.driver(s.Target)
	if err != nil {
		return nil, nil, err
	}
	blobs, err := a.Store(s.Store)
	return d, blobs, err
}

// end waits for the end of a job and gathers what it left.
func end(ctx context.Context, d target.Driver, s Submission, blobs target.Blobs, v veil) (Outcome, error) {
	k := newKeeper(d, s, v.over(blobs))
	m := newReporter(ctx, d, s, v)
	stop, hush := k.watch(ctx), m.watch(ctx)
	st, err := follow(ctx, d, s)
	stop()
	hush()
	if err = v.error(err); err != nil {
		if doubt := doubtOf(ctx); ctx.Err() == nil && doubt.holds(err) {
			return doubt.unheard(s, err)
		}
		return Outcome{}, err
	}
	o, err := collect(ctx, d, s, st, v.over(blobs), v, m)
	if err == nil {
		k.last(ctx, &o)
	}
	return v.outcome(o), err
}

// follow looks at a job until it has ended: first often and then less so, or when
// the driver gives a hint.
func follow(ctx context.Context, d target.Driver, s Submission) (target.Status, error) {
	t, id := s.Target, s.Job.ID
	pause, last := lookFirst, time.Time{}
	queue := newQueue(ctx, s)
	for {
		hint := hintOf(d, t, id) // before the look, so that no end falls between the two
		st, err := d.Status(ctx, t, id)
		if err != nil || st.State.Ended() {
			return queue.verdict(st), err
		}
		doubtOf(ctx).saw(st)
		if queue.look(st) {
			if err := d.Cancel(ctx, t, id, target.CauseCancel); err != nil {
				return st, err
			}
		}
		if time.Since(last) >= beat {
			life(ctx).beat(st.State)
			last = time.Now()
		}
		wait := pause
		if hint != nil {
			wait = lookMost // for what is due while it runs
		} else {
			pause = min(pause*5/4, lookMost)
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-hint:
		case <-time.After(wait):
		}
	}
}

// hintOf returns a channel that is closed when it is time to look at a job; nil,
// on which one waits for ever, when the driver cannot tell.
func hintOf(d target.Driver, t target.Target, id string) <-chan struct{} {
	if w, ok := d.(target.Waiter); ok {
		return w.Wait(t, id)
	}
	return nil
}

// beating does something that may take long while telling Temporal that it is
// still under way.
func beating(ctx context.Context, do func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			life(ctx).beat(nil)
		}
	}
}

// refused turns a submission that can never succeed into a job that failed to
// start; any other trouble is an error that is tried again, so many times.
func refused(ctx context.Context, err error, tries int) (Outcome, error) {
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	failed := target.Status{State: target.Failed, Cause: target.CauseStart, Reason: words(err)}
	switch {
	case errors.Is(err, target.ErrPermanent):
		return Outcome{Status: failed}, nil
	case life(ctx).try() >= tries:
		failed.Cause = target.CauseCapacity
		return Outcome{Status: failed}, nil
	}
	return Outcome{}, err
}

// How often a submission is tried when the target cannot take it: with pauses that
// grow to ten seconds, for about five minutes; for three seconds when another target
// would do.
const (
	patientTries = 35
	submitTries  = 5
)

// patience is how often a submission is tried.
func (s Submission) patience() int {
	if s.Others {
		return submitTries
	}
	return patientTries
}

func (a *Activities) driver(t target.Target) (target.Driver, error) {
	if d, ok := a.Drivers[t.Kind]; ok {
		return d, nil
	}
	return nil, temporal.NewNonRetryableApplicationError(fmt.Sprintf("this worker has no driver for targets of kind %q", t.Kind), "no-driver", nil)
}
