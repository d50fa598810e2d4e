package flow

import (
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Here are the workflows that carry out a plan by themselves, an activity for each
// job. Versions before stretches began runs like that, and they are carried to their
// end; new ones are begun as Carry.

// The names of these workflows. They never change.
const (
	FirstWorkflow  = "amlflow.run"
	NestedWorkflow = "amlflow.nested" // a pipeline inside of a run; a name of its own, so that lists of runs do not show it
	ItemsWorkflow  = "amlflow.items"  // some of the items of a stage
)

// Run carries out a plan. It returns the record of the run; a run that failed
// returns an application error of type NotSucceeded with the record as details.
func Run(ctx workflow.Context, in Input) (*Progress, error) {
	r := newRun(in, workflow.Now(ctx))
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (*Progress, error) { return r.progress, nil }); err != nil {
		return nil, err
	}
	if err := r.takeDecisions(ctx); err != nil {
		return nil, err
	}
	if in.Plan.Version != plan.Version {
		return nil, temporal.NewNonRetryableApplicationError("the plan was made by another version of amlflow", "version", nil)
	}
	r.link()
	w := &replayed{Context: ctx, r: r, turns: &turns{}}
	release, err := r.ownTurn(w)
	if err != nil {
		return nil, err
	}
	defer release()
	r.carryOut(w)
	away, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	r.clean(away)
	r.forget(away)
	return r.result(ctx)
}

// clean removes from the targets what their jobs left. It is best effort: what
// stays is found by its id later. Jobs that failed stay, to be looked at.
func (r *run) clean(ctx workflow.Context) {
	if len(r.jobs) == 0 {
		return
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: r.in.Control, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: workers.Heartbeat,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3},
	})
	if err := workflow.ExecuteActivity(ctx, workers.Clean, r.jobs).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("jobs were not cleaned up", "run", r.in.Run, "error", err)
	}
}

// cleanHere cleans up as a part of looking at the workflow: a few jobs that were quick.
func (r *run) cleanHere(ctx workflow.Context) {
	if len(r.jobs) == 0 {
		return
	}
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 10 * time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3},
	})
	if err := workflow.ExecuteLocalActivity(ctx, workers.Clean, r.jobs).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("jobs were not cleaned up", "run", r.in.Run, "error", err)
	}
}

func (r *run) result(ctx workflow.Context) (*Progress, error) {
	switch r.progress.Status {
	case target.Succeeded:
		return r.progress, nil
	case target.Cancelled:
		return r.progress, temporal.NewCanceledError(*r.progress)
	}
	return r.progress, temporal.NewNonRetryableApplicationError("run "+string(r.progress.Status), NotSucceeded, nil, *r.progress)
}

// replayed is the world of a workflow.
type replayed struct {
	workflow.Context
	r     *run
	turns *turns
}

func (w *replayed) in(ctx workflow.Context) *replayed { return &replayed{ctx, w.r, w.turns} }

func (w *replayed) Now() time.Time { return workflow.Now(w.Context) }

func (w *replayed) Apart() (World, func()) {
	away, release := workflow.NewDisconnectedContext(w.Context)
	return w.in(away), release
}

// Last ends when a run that is being cancelled is cancelled once more: somebody does
// not want to wait for `finally`. Temporal tells a workflow only once that it is
// cancelled, so that each wish also comes as a signal.
func (w *replayed) Last() (World, func()) {
	last, abandon := workflow.NewDisconnectedContext(w.Context)
	wishes := workflow.GetSignalChannel(last, SignalCancel)
	workflow.Go(last, func(ctx workflow.Context) {
		wishes.Receive(ctx, nil)
		wishes.Receive(ctx, nil)
		abandon()
	})
	return w.in(last), abandon
}

func (w *replayed) Go(f func(World)) {
	workflow.Go(w.Context, func(ctx workflow.Context) { f(w.in(ctx)) })
}

func (w *replayed) Await(condition func() bool) error { return workflow.Await(w.Context, condition) }

func (w *replayed) AwaitFor(limit time.Duration, condition func() bool) (bool, error) {
	return workflow.AwaitWithTimeout(w.Context, limit, condition)
}

func (w *replayed) Sleep(d time.Duration) error { return workflow.Sleep(w.Context, d) }

// Evaluate has expressions evaluated outside replayed code, so that the answer is
// recorded once.
func (w *replayed) Evaluate(e Evaluation) (got Evaluated, err error) {
	ctx := workflow.WithLocalActivityOptions(w.Context, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3},
	})
	err = workflow.ExecuteLocalActivity(ctx, Evaluate, e).Get(ctx, &got)
	return got, err
}

func (w *replayed) Choose(targets []target.Target) (c workers.Choice, err error) {
	ctx := workflow.WithActivityOptions(w.Context, quick(w.r.in.Control))
	err = workflow.ExecuteActivity(ctx, workers.Choose, targets).Get(ctx, &c)
	return c, err
}

func (w *replayed) Gather(g workers.Gathering) (ref target.Ref, err error) {
	ctx := workflow.WithActivityOptions(w.Context, quick(w.r.in.Control))
	err = workflow.ExecuteActivity(ctx, workers.Gather, g).Get(ctx, &ref)
	return ref, err
}

func (w *replayed) Attempt(t Task) (out workers.Outcome) {
	o := following
	o.ActivityID = t.ID // so that what Temporal says of it can be told of the stage
	long := workflow.WithActivityOptions(w.Context, o)
	err := workflow.ExecuteActivity(long, t.Do, t.Work).Get(long, &out)
	switch {
	case err == nil:
		return out
	case w.Err() == nil:
		return unstarted(message(err))
	}
	return w.stop(t)
}

// stop ends what a cancelled run has started, and waits until nothing is alive.
func (w *replayed) stop(t Task) (out workers.Outcome) {
	away, release := workflow.NewDisconnectedContext(w.Context)
	defer release()
	o := following
	o.TaskQueue = w.r.in.Control
	away = workflow.WithActivityOptions(away, o)
	err := workflow.ExecuteActivity(away, t.Undo, t.Work).Get(away, &out)
	return Stopped(out, err)
}

// Undo implements World.
func (w *replayed) Undo(t Task) workers.Outcome { return w.stop(t) }

// Route is asked in rehearsals only: no history of before has a rollout.
func (w *replayed) Route(q workers.Routing, _ *StageProgress) (got workers.Routed, err error) {
	away, release := workflow.NewDisconnectedContext(w.Context)
	defer release()
	away = workflow.WithActivityOptions(away, following)
	err = workflow.ExecuteActivity(away, workers.Route, q).Get(away, &got)
	return got, err
}

func (w *replayed) Pipeline(in Input, u Unit) (p *Progress, err error) {
	u.Progress.Child = workflow.GetInfo(w.Context).WorkflowExecution.ID + "." + u.Name
	ctx := w.child(u.Name)
	err = workflow.ExecuteChildWorkflow(ctx, NestedWorkflow, in).Get(ctx, &p)
	u.Progress.Child = ""
	if p, ok := RecordOf(err); ok {
		return p, nil
	}
	return p, err
}

// child are the options of a workflow that belongs to this one: it is cancelled with
// it, and waited for.
func (w *replayed) child(name string) workflow.Context {
	info := workflow.GetInfo(w.Context)
	return workflow.WithChildOptions(w.Context, workflow.ChildWorkflowOptions{
		WorkflowID:          info.WorkflowExecution.ID + "." + name,
		WorkflowTaskTimeout: info.WorkflowTaskTimeout,
		WaitForCancellation: true,
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
	})
}

// Wide is small: the time that each step of a workflow takes grows with what is under
// way in it.
func (w *replayed) Wide() int { return inline }

// Room is always true: what is under way in a history of before was begun at once.
func (w *replayed) Room() bool { return true }

// Rechoose is false: histories of before have one choice for each unit.
func (w *replayed) Rechoose() bool { return false }

func (w *replayed) Items(name string, in ItemsInput) (got []ItemResult, err error) {
	ctx := w.child(name)
	err = workflow.ExecuteChildWorkflow(ctx, ItemsWorkflow, in).Get(ctx, &got)
	return got, err
}

// Turn waits until the group says that it is the turn of key.
func (w *replayed) Turn(g *plan.Group, key string) (release func(), err error) {
	if key == "" {
		key = "run"
	}
	err = w.turns.take(w.Context, g, key)
	return func() { w.turns.giveBack(w.Context, g, key) }, err
}

func (w *replayed) Keep()                {} // all that a workflow decides is on record
func (w *replayed) Unsure() bool         { return false }
func (w *replayed) Touch(*StageProgress) {}

// quick are the options of what a worker does at once.
func quick(queue string) workflow.ActivityOptions {
	return workflow.ActivityOptions{TaskQueue: queue, StartToCloseTimeout: time.Minute}
}

// following is how long things are followed: for ever, as long as some worker
// gives signs of life. The bound on a job is its own timeout.
var following = workflow.ActivityOptions{
	StartToCloseTimeout: 10 * 365 * 24 * time.Hour,
	HeartbeatTimeout:    workers.Heartbeat,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
}

// Items does a stage for some of its items. It ends well whatever becomes of them.
func Items(ctx workflow.Context, in ItemsInput) ([]ItemResult, error) {
	r := newRun(in.Input, workflow.Now(ctx))
	w := &replayed{Context: ctx, r: r, turns: &turns{}}
	r.given, r.givenFailed = in.Values, in.Failed
	s := &r.plan.Stages[0]
	all := make([]StageProgress, len(in.Items))
	r.each(w, len(in.Items), s.Fan.Parallel, func(w World, i int) {
		all[i] = r.blank(s, in.From+i, in.Items[i])
		if w.Err() != nil {
			all[i].Status = target.Cancelled
			return
		}
		r.unit(w, r.itemUnit(s, &all[i], in.From+i, in.Items[i]))
	})
	away, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	r.clean(away)
	out, shown := make([]ItemResult, len(all)), 0
	for i := range all {
		out[i] = ItemResult{Status: all[i].Status, Outputs: all[i].Outputs, Metrics: all[i].Metrics}
		if bad(all[i].Status) && shown < shownBad {
			shown++
			out[i].Bad = &all[i]
		}
	}
	return out, nil
}

// decisions takes what people say. Saying the same again changes nothing.
func (r *run) takeDecisions(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateDecide,
		func(_ workflow.Context, d Decision) error {
			if _, again := r.decided[d.Stage]; !again {
				r.decided[d.Stage] = d
			}
			return nil
		},
		workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, d Decision) error { return r.mayDecide(d) }})
}

// forget removes what was kept for the secrets of the run. Nothing needs them any
// more: not even to mask logs, which are kept masked.
func (r *run) forget(ctx workflow.Context) {
	if r.in.Root == "" && len(Secrets(r.plan, r.in.Dir)) > 0 {
		r.forgetAll(ctx)
	}
}

func (r *run) forgetAll(ctx workflow.Context) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: r.in.Control, StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 10},
	})
	if err := workflow.ExecuteActivity(ctx, workers.Forget, r.in.Run).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("what was kept for the secrets of the run was not removed", "run", r.in.Run, "error", err)
	}
}
