package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/client"
)

// PauseSchedule has a schedule begin nothing until it is resumed. Runs that go on do so.
func (e *Engine) PauseSchedule(ctx context.Context, name, why string) error {
	return e.toSchedule(ctx, name, func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Pause(ctx, client.SchedulePauseOptions{Note: why})
	})
}

// ResumeSchedule ends a pause. The times of the pause are not caught up with.
func (e *Engine) ResumeSchedule(ctx context.Context, name string) error {
	return e.toSchedule(ctx, name, func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: "resumed"})
	})
}

// RemoveSchedule removes a schedule, and tells whether there was one. Runs that go on do
// so.
func (e *Engine) RemoveSchedule(ctx context.Context, name string) (there bool, err error) {
	err = e.toSchedule(ctx, name, func(ctx context.Context, h client.ScheduleHandle) error { return h.Delete(ctx) })
	there = err == nil
	if err != nil && !errors.Is(err, ErrNoSchedule) {
		return false, err
	}
	return there, secrets.Drop(e.o.Home, e.sealedName(name))
}

func (e *Engine) toSchedule(ctx context.Context, name string, f func(context.Context, client.ScheduleHandle) error) error {
	return e.do(ctx, func(ctx context.Context, c client.Client) error {
		return unscheduled(name, f(ctx, c.ScheduleClient().GetHandle(ctx, e.scheduleID(name))))
	})
}

// triggerPatience is how long a run may take to begin that was asked for now.
const triggerPatience = 30 * time.Second

// TriggerSchedule has a schedule begin a run now, also while it is paused, and returns
// what came of it. overlap is the policy to follow; "" is the schedule's own. With
// "skip" the error is ErrOverlap while another run of the schedule goes on.
func (e *Engine) TriggerSchedule(ctx context.Context, name, overlap string) (Firing, error) {
	s, err := e.Schedule(ctx, name)
	if err != nil {
		return Firing{}, err
	}
	if overlap == "" {
		overlap = s.Timing.Overlap
	}
	goesOn := s.goingOn()
	if goesOn != nil && overlap == "skip" {
		return *goesOn, fmt.Errorf("%w: %s, and the schedule says `overlap: skip`; wait for it, or say --overlap queue, latest, cancel or allow", ErrOverlap, goesOn.Run)
	}
	if err := s.apart(ctx); err != nil {
		return Firing{}, err
	}
	err = e.toSchedule(ctx, name, func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: overlaps[overlap]})
	})
	if err != nil {
		return Firing{}, err
	}
	if goesOn != nil && (overlap == "queue" || overlap == "latest") {
		return Firing{At: time.Now().UTC(), Status: target.Waiting, Why: fmt.Sprintf("it begins when run %s has ended", goesOn.Run)}, nil
	}
	return e.triggered(ctx, s, goesOn != nil && overlap == "cancel")
}

// goingOn is a run of the schedule that has not ended; nil: there is none.
func (s *Schedule) goingOn() *Firing {
	for i, f := range s.Firings {
		if f.Status == target.Running || f.Status == target.Waiting {
			return &s.Firings[i]
		}
	}
	return nil
}

// apart waits until the last time is more than a second ago: Temporal names what it
// starts by the second, and drops the second one of a name.
func (s *Schedule) apart(ctx context.Context) error {
	if len(s.Firings) == 0 {
		return nil
	}
	pause := time.Until(s.Firings[0].At.Truncate(time.Second).Add(time.Second))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// triggered waits for a run that was not there before. One for which another has to be
// cancelled begins when that has ended, however long it takes.
func (e *Engine) triggered(ctx context.Context, before *Schedule, long bool) (Firing, error) {
	known := map[string]bool{}
	for _, f := range before.Firings {
		known[f.Run] = true
	}
	for until := time.Now().Add(triggerPatience); long || time.Now().Before(until); {
		now, err := e.Schedule(ctx, before.Name)
		if err != nil {
			return Firing{}, err
		}
		for _, f := range now.Firings {
			if f.Run != "" && !known[f.Run] {
				return f, nil
			}
			if f.Run == "" && f.Status == target.Failed && f.At.After(before.lastTime()) {
				return f, errors.New(f.Why)
			}
		}
		select {
		case <-ctx.Done():
			return Firing{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return Firing{}, fmt.Errorf("the schedule %q was asked for a run, and none has begun: `amlflow schedule show %s` tells more", before.Name, before.Name)
}

func (s *Schedule) lastTime() time.Time {
	if len(s.Firings) == 0 {
		return time.Time{}
	}
	return s.Firings[0].At
}
