package stretch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// thread is the world of an interpreter, as one of its threads sees it.
type thread struct {
	context.Context // ends when this part of the run is cancelled
	s               *stretch
	interpreter     *flow.Interpreter // of the pipeline that it is in
}

var _ flow.World = thread{}

func (t thread) Now() time.Time { return t.s.loom.clock.Now() }

func (t thread) Apart() (flow.World, func()) {
	t.Context = context.WithoutCancel(t.Context)
	return t, func() {}
}

func (t thread) Last() (flow.World, func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context))
	if t.s.in.Cancels > 1 {
		cancel()
	}
	t.Context = ctx
	return t, cancel
}

func (t thread) Go(f func(flow.World)) { t.s.loom.spin(func() { f(t) }) }

func (t thread) Await(condition func() bool) error {
	_, err := t.s.loom.park(t.Context, condition, time.Time{})
	return err
}

func (t thread) AwaitFor(limit time.Duration, condition func() bool) (bool, error) {
	return t.s.loom.park(t.Context, condition, t.Now().Add(limit))
}

func (t thread) Sleep(d time.Duration) error {
	if d <= 0 {
		return t.Err()
	}
	_, err := t.s.loom.park(t.Context, nil, t.Now().Add(d))
	return err
}

func (t thread) Evaluate(e flow.Evaluation) (flow.Evaluated, error) {
	return t.s.by.Evaluate(t.s.ctx, e)
}

func (t thread) Choose(targets []target.Target) (c workers.Choice, err error) {
	t.s.loom.busy(func() { c, err = t.s.by.Activities.Choose(t.s.ctx, targets) })
	return c, err
}

func (t thread) Gather(g workers.Gathering) (ref target.Ref, err error) {
	t.s.loom.busy(func() { ref, err = t.s.by.Activities.Gather(workers.Quiet(t.s.ctx, 1), g) })
	return ref, err
}

// Attempt does a job or a deployment. When the run is cancelled it is undone, whether
// or not it was begun: that may be on no record.
func (t thread) Attempt(task flow.Task) (out workers.Outcome) {
	if t.Err() != nil {
		return t.undo(task)
	}
	t.Touch(task.Progress)
	doubt := t.doubt(task)
	t.s.loom.busy(func() {
		if !t.s.by.slot(t.s.ctx) {
			return
		}
		defer t.s.by.free()
		out = t.persist(task.Progress, func(ctx context.Context, try int) (workers.Outcome, error) {
			ctx = workers.WithDoubt(ctx, doubt)
			ctx = workers.OnWaiting(ctx, func(why string) { t.s.queued(t, task.Progress, why) })
			ctx = t.listening(ctx, task)
			ctx = workers.OnCheckpoint(ctx, func(ref target.Ref) { t.s.checkpoint(t, task.Progress, ref) })
			return t.s.by.Activities.Try(t.counting(ctx, task), task.Do, task.Work, try)
		})
	})
	return out
}

// Undo implements flow.World.
func (t thread) Undo(task flow.Task) workers.Outcome { return t.undo(task) }

// listening hands the metrics of a job to whoever wants them, as if by one of the threads.
func (t thread) listening(ctx context.Context, task flow.Task) context.Context {
	if task.Heard == nil {
		return ctx
	}
	t.s.loom.mu.Lock()
	from := task.From()
	t.s.loom.mu.Unlock()
	return workers.OnMetrics(ctx, from, func(all []workers.Report) {
		t.s.loom.mu.Lock()
		if t.s.loom.ended {
			t.s.loom.mu.Unlock()
			return
		}
		task.Heard(all)
		t.s.fresh.note(t.interpreter.Prefix()+task.Progress.Name, task.Progress)
		t.s.loom.yield()
	})
}

// doubt tells whether an attempt may have begun before this stretch did.
func (t thread) doubt(task flow.Task) *workers.Doubt {
	return &workers.Doubt{Maybe: t.s.in.Unsure || task.Progress.Begun.Before(t.s.from)}
}

func (t thread) undo(task flow.Task) (out workers.Outcome) {
	doubt := t.doubt(task)
	doubt.Maybe = true
	t.s.loom.busy(func() {
		out = t.persist(task.Progress, func(ctx context.Context, try int) (workers.Outcome, error) {
			ctx = workers.WithDoubt(ctx, doubt)
			return t.s.by.Activities.Try(t.listening(ctx, task), task.Undo, task.Work, try)
		})
	})
	return flow.Stopped(out, nil)
}

// The pauses between the tries of what a target or a store could not do.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// persist tries until there is an outcome, and lets people know why there is none yet.
func (t thread) persist(p *flow.StageProgress, do func(ctx context.Context, try int) (workers.Outcome, error)) workers.Outcome {
	ctx := t.s.ctx
	pause := firstPause
	for try := 1; ; try++ {
		out, err := do(ctx, try)
		switch {
		case err == nil || ctx.Err() != nil:
			return out
		case workers.Final(err):
			return flow.Unstarted(err)
		}
		t.s.note(t, p, fmt.Sprintf("trying again (%d times so far): %s", try, flow.Words(err)))
		select {
		case <-ctx.Done():
			return out
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// Pipeline carries out a plan inside of this one, by the same threads.
func (t thread) Pipeline(in flow.Input, u flow.Unit) (*flow.Progress, error) {
	path := t.interpreter.Prefix() + u.Progress.Name + "/"
	inner := t.interpreter.Inside(in, u.Progress, path, t.Now())
	outer := t.interpreter
	t.interpreter = inner
	if err := inner.CarryOut(t); err != nil {
		return nil, err
	}
	outer.Leave(in.Run)
	return u.Progress.Nested, nil
}

// Turn waits until the run is known to have a turn for key. It is given back by not
// being wished for any longer.
func (t thread) Turn(g *plan.Group, key string) (func(), error) {
	key = t.interpreter.Prefix() + key
	if key == "" || strings.HasSuffix(key, "/") {
		key += "run"
	}
	t.s.wishes[key] = flow.Wish{Key: key, Group: *g}
	if !t.s.turns[key] { // one that it has is on record: to end for it would cut off, again and again, what is done in that turn
		t.s.report()
	}
	giveBack := func() { delete(t.s.wishes, key); t.s.report() }
	if err := t.Await(func() bool { return t.s.turns[key] }); err != nil {
		giveBack()
		return func() {}, err
	}
	return giveBack, nil
}

// Room implements flow.World: threads that wait for something else than a place for a
// job do not count.
func (t thread) Room() bool { return t.s.loom.alive-len(t.s.loom.parked) < 4*maxJobs }

// Rechoose implements flow.World.
func (t thread) Rechoose() bool { return true }

// Wide has no bound: threads cost little.
func (t thread) Wide() int { return int(^uint(0) >> 1) }

func (t thread) Items(string, flow.ItemsInput) ([]flow.ItemResult, error) {
	return nil, fmt.Errorf("all items are done here") // a mistake of ours
}

// Keep waits for the next stretch, which begins with what is known now.
func (t thread) Keep() {
	t.s.keep = true
	_ = t.Await(func() bool { return false })
}

func (t thread) Unsure() bool { return t.s.in.Unsure }

// Touch has people know of a change.
func (t thread) Touch(p *flow.StageProgress) { t.s.touch(t.interpreter.Prefix()+p.Name, p) }
