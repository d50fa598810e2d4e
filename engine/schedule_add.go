package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/stretch"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/secrets"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Scheduling is a schedule as somebody wants it.
type Scheduling struct {
	Name    string
	Request Request // what each run is; Secrets are kept as long as the schedule is
	Timing  flow.Timing
	File    string
	Profile string
	Params  map[string]any // as the person gave them
	Paused  bool           // it is to begin nothing yet
}

// Rescheduled is what adding a schedule has changed.
type Rescheduled struct {
	Schedule *Schedule
	New      bool
	Before   *Schedule       // how it was; nil when it is new
	Plan     plan.Difference // between the plans of the runs before and from now on
	Note     string          // why the plans could not be compared
}

// AddSchedule makes a schedule as it is wanted, also when there is one of this name. Runs
// that go on have what they began with.
func (e *Engine) AddSchedule(ctx context.Context, s Scheduling) (*Rescheduled, error) {
	given, err := e.scheduled(ctx, s)
	if err != nil {
		return nil, err
	}
	var got *Rescheduled
	for {
		before, err := e.Schedule(ctx, s.Name)
		switch {
		case errors.Is(err, ErrNoSchedule):
			got, err = &Rescheduled{New: true}, e.createSchedule(ctx, s, given)
		case err == nil:
			got = &Rescheduled{Before: before}
			got.compare(ctx, before.given, s.Request.Plan)
			err = e.updateSchedule(ctx, s, given, before)
		}
		if errors.Is(err, ErrNoSchedule) || alreadyScheduled(err) {
			continue // somebody else removed it, or added it, meanwhile
		}
		if err != nil {
			return nil, err
		}
		if given.Sealed == "" {
			if err := secrets.Drop(e.o.Home, e.sealedName(s.Name)); err != nil {
				return nil, err
			}
		}
		got.Schedule, err = e.Schedule(ctx, s.Name)
		return got, err
	}
}

// scheduled puts down what the runs begin with, and keeps what they need.
func (e *Engine) scheduled(ctx context.Context, s Scheduling) (flow.Scheduled, error) {
	given := flow.Scheduled{Schedule: s.Name, Timing: s.Timing, File: s.File, Profile: s.Profile, Params: s.Params}
	if err := e.claim(s.Request.Store); err != nil {
		return given, err
	}
	in, err := e.input(ctx, s.Request)
	if err != nil {
		return given, err
	}
	given.Memo = memo(s.Request, in)
	for _, ofRun := range []string{"mark", "started"} {
		delete(given.Memo, ofRun)
	}
	in.Mark = ""
	given.Input = in
	if s.Request.Secrets == nil {
		return given, nil
	}
	given.Sealed = e.sealedName(s.Name)
	if err := s.Request.Secrets.Keep(e.o.Home, given.Sealed); err != nil {
		return given, fmt.Errorf("keep the secrets of the schedule: %w", err)
	}
	return given, nil
}

func alreadyScheduled(err error) bool {
	var exists *serviceerror.AlreadyExists
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	return errors.Is(err, temporal.ErrScheduleAlreadyRunning) || errors.As(err, &exists) || errors.As(err, &started)
}

func (e *Engine) action(given flow.Scheduled) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: e.scheduleID(given.Schedule), Workflow: flow.ScheduledWorkflow, Args: []any{given},
		TaskQueue: e.Info().Queue, WorkflowTaskTimeout: workers.Heartbeat,
	}
}

func (e *Engine) createSchedule(ctx context.Context, s Scheduling, given flow.Scheduled) error {
	return e.do(ctx, func(ctx context.Context, c client.Client) error {
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID: e.scheduleID(s.Name), Spec: spec(s.Timing), Action: e.action(given),
			Overlap: overlaps[s.Timing.Overlap], CatchupWindow: s.Timing.CatchUp, Paused: s.Paused, Note: pausedFrom(s.Paused),
		})
		return err
	})
}

func pausedFrom(start bool) string {
	if start {
		return "added paused"
	}
	return ""
}

// updateSchedule changes what is not as it is wanted: what is the same is left alone,
// because a time that has just come must not be lost.
func (e *Engine) updateSchedule(ctx context.Context, s Scheduling, given flow.Scheduled, before *Schedule) error {
	if same(given, before.given) && (!s.Paused || before.Paused) {
		return nil
	}
	return e.do(ctx, func(ctx context.Context, c client.Client) error {
		h := c.ScheduleClient().GetHandle(ctx, e.scheduleID(s.Name))
		times := spec(s.Timing)
		err := h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			next := in.Description.Schedule
			next.Spec, next.Action = &times, e.action(given)
			next.Policy = &client.SchedulePolicies{Overlap: overlaps[s.Timing.Overlap], CatchupWindow: s.Timing.CatchUp}
			if s.Paused && next.State != nil {
				next.State.Paused, next.State.Note = true, pausedFrom(true)
			}
			return &client.ScheduleUpdate{Schedule: &next}, nil
		}})
		return unscheduled(s.Name, err)
	})
}

func same(a, b flow.Scheduled) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// compare tells what the runs will do otherwise.
func (r *Rescheduled) compare(ctx context.Context, was flow.Scheduled, now *plan.Plan) {
	b, err := blob.OpenFolder(was.Input.Store)
	if err == nil {
		var before *plan.Plan
		if before, err = stretch.ReadPlan(ctx, b, was.Input.PlanRef); err == nil {
			r.Plan = plan.Diff(before, now)
			return
		}
	}
	r.Note = "what its runs did before cannot be read: " + err.Error()
}
