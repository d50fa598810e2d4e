package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// Errors of schedules that a caller may want to tell apart.
var (
	ErrNoSchedule = errors.New("no such schedule")
	ErrOverlap    = errors.New("a run of the schedule goes on")
)

// Schedule is one of the schedules of a state folder, as it stands.
type Schedule struct {
	Name     string         `json:"schedule"`
	Pipeline string         `json:"pipeline"`
	Plan     string         `json:"plan"` // its digest; all runs have this one
	File     string         `json:"file,omitempty"`
	Profile  string         `json:"profile,omitempty"`
	Params   map[string]any `json:"params,omitempty"`
	Timing   Timing         `json:"timing"`
	Paused   bool           `json:"paused"`
	Note     string         `json:"note,omitempty"` // why it is paused
	Added    time.Time      `json:"added"`
	Changed  time.Time      `json:"changed,omitzero"`
	Next     []time.Time    `json:"next"`
	Firings  []Firing       `json:"firings"` // the newest first
	Runs     int            `json:"runs"`    // how many were begun so far
	Skipped  int            `json:"skipped"` // times left out because an earlier run went on
	Missed   int            `json:"missed"`  // times left out because they were too long ago

	given flow.Scheduled
}

// Timing says when a schedule begins runs, in the words of the language.
type Timing struct {
	Cron     string `json:"cron,omitempty"`
	Every    string `json:"every,omitempty"`
	Timezone string `json:"timezone"`
	Overlap  string `json:"overlap"`
	CatchUp  string `json:"catch_up"`
	Jitter   string `json:"jitter,omitempty"`
}

func timing(t flow.Timing) Timing {
	return Timing{Cron: t.Cron, Every: Span(t.Every), Timezone: t.Timezone, Overlap: t.Overlap, CatchUp: Span(t.CatchUp), Jitter: Span(t.Jitter)}
}

// Span is a length of time as the language has it: 90m is 1h30m, and 24h is 1d. None is
// "".
func Span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	out := ""
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.d; n > 0 {
			out += fmt.Sprintf("%d%s", n, u.name)
			d -= n * u.d
		}
	}
	return out
}

// Firing is one time of a schedule, and what came of it.
type Firing struct {
	At     time.Time    `json:"at"`
	Run    string       `json:"run,omitempty"`
	Status target.State `json:"status"` // of the run; skipped when none was begun
	Ended  time.Time    `json:"ended,omitzero"`
	Why    string       `json:"why,omitempty"`
}

// scheduleID is how Temporal knows a schedule.
func (e *Engine) scheduleID(name string) string { return server.SchedulePrefix(e.Info().Queue) + name }

// sealedName names what is kept for the secrets of a schedule. The same state folder may
// have schedules of this name in several engines.
func (e *Engine) sealedName(name string) string {
	where := "embedded"
	if e.o.External != nil {
		where = e.o.External.String()
	}
	sum := sha256.Sum256([]byte(where + "\n" + e.scheduleID(name)))
	return hex.EncodeToString(sum[:8])
}

// Schedules lists the schedules of this state folder, by name.
func (e *Engine) Schedules(ctx context.Context) ([]Schedule, error) {
	var names []string
	err := e.do(ctx, func(ctx context.Context, c client.Client) (err error) {
		names, err = server.Schedules(ctx, c, e.Info().Queue, func(*client.ScheduleListEntry) bool { return true })
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Schedule
	for _, name := range names {
		s, err := e.Schedule(ctx, name)
		if errors.Is(err, ErrNoSchedule) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, *s)
	}
	return all, nil
}

// Schedule is one of them, as it stands.
func (e *Engine) Schedule(ctx context.Context, name string) (*Schedule, error) {
	var s *Schedule
	err := e.do(ctx, func(ctx context.Context, c client.Client) error {
		d, err := c.ScheduleClient().GetHandle(ctx, e.scheduleID(name)).Describe(ctx)
		if err != nil {
			return unscheduled(name, err)
		}
		s, err = e.schedule(ctx, c, name, d)
		return err
	})
	return s, err
}

// unscheduled says which schedule was not found.
func unscheduled(name string, err error) error {
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return fmt.Errorf("%w: %q; `amlflow schedule ls` lists them", ErrNoSchedule, name)
	}
	return err
}

func (e *Engine) schedule(ctx context.Context, c client.Client, name string, d *client.ScheduleDescription) (*Schedule, error) {
	given, err := scheduledBy(d.Schedule.Action)
	if err != nil {
		return nil, fmt.Errorf("read the schedule %q: %w", name, err)
	}
	s := &Schedule{
		Name: name, File: given.File, Profile: given.Profile, Params: given.Params, Timing: timing(given.Timing), given: given, Firings: []Firing{},
		Added: d.Info.CreatedAt.UTC(), Next: d.Info.NextActionTimes, Runs: d.Info.NumActions, Skipped: d.Info.NumActionsSkippedOverlap, Missed: d.Info.NumActionsMissedCatchupWindow,
	}
	s.Pipeline, _ = given.Memo["pipeline"].(string)
	s.Plan, _ = given.Memo["plan"].(string)
	if at := d.Info.LastUpdateAt; at.After(d.Info.CreatedAt) {
		s.Changed = at.UTC()
	}
	if d.Schedule.State != nil {
		s.Paused = d.Schedule.State.Paused
	}
	if s.Paused {
		s.Note, s.Next = d.Schedule.State.Note, nil
	}
	for i := range s.Next {
		s.Next[i] = s.Next[i].UTC()
	}
	if s.Next == nil {
		s.Next = []time.Time{}
	}
	for _, a := range d.Info.RecentActions {
		f, err := e.firing(ctx, c, a)
		if err != nil {
			return nil, err
		}
		s.Firings = append(s.Firings, f)
	}
	// One that could not be started at first comes behind later ones.
	slices.SortStableFunc(s.Firings, func(a, b Firing) int { return b.At.Compare(a.At) })
	return s, nil
}

// scheduledBy is what a schedule gives its runs.
func scheduledBy(a client.ScheduleAction) (s flow.Scheduled, err error) {
	w, ok := a.(*client.ScheduleWorkflowAction)
	if !ok || len(w.Args) != 1 {
		return s, errors.New("it is not one of ours")
	}
	payload, ok := w.Args[0].(*common.Payload)
	if !ok {
		return s, errors.New("it is not one of ours")
	}
	return s, converter.GetDefaultDataConverter().FromPayload(payload, &s)
}

// firing finds out what came of one time.
func (e *Engine) firing(ctx context.Context, c client.Client, a client.ScheduleActionResult) (Firing, error) {
	f := Firing{At: a.ScheduleTime.UTC(), Status: target.Waiting}
	if a.StartWorkflowResult == nil {
		return f, nil
	}
	workflow, run := a.StartWorkflowResult.WorkflowID, a.StartWorkflowResult.FirstExecutionRunID
	for try := range 2 { // the first id is as good as never another run's
		id := flow.ScheduledRun(workflow, run, try)
		d, err := c.DescribeWorkflowExecution(ctx, flow.RunWorkflowID(id), "")
		var none *serviceerror.NotFound
		if errors.As(err, &none) {
			continue
		}
		if err != nil {
			return f, err
		}
		f.Run, f.Status = id, stateOf(d.GetWorkflowExecutionInfo().GetStatus())
		if t := d.GetWorkflowExecutionInfo().GetCloseTime(); t != nil {
			f.Ended = t.AsTime()
		}
		if mark := memoText(d.GetWorkflowExecutionInfo().GetMemo(), "mark"); strings.HasPrefix(mark, run+".") {
			return f, nil
		}
		f = Firing{At: f.At, Status: target.Waiting}
	}
	return f, notBegun(ctx, c, workflow, run, &f)
}

func memoText(m *common.Memo, name string) (text string) {
	if p, ok := m.GetFields()[name]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &text)
	}
	return text
}

// notBegun says of a time without a run why there is none.
func notBegun(ctx context.Context, c client.Client, workflow, run string, f *Firing) error {
	d, err := c.DescribeWorkflowExecution(ctx, workflow, run)
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		f.Status, f.Why = target.Lost, "the engine keeps no record of it any more"
		return nil
	}
	if err != nil {
		return err
	}
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		f.Why = "it waits for the background server to begin it"
		return nil
	}
	f.Ended = info.GetCloseTime().AsTime()
	var begun flow.Begun
	err = c.GetWorkflow(ctx, workflow, run).Get(ctx, &begun)
	switch {
	case err != nil:
		f.Status, f.Why = stateOf(info.GetStatus()), "it could not begin: "+innermost(err)
	case begun.Late > 0:
		f.Status, f.Why = flow.Skipped, fmt.Sprintf("the background server was away for %s, longer than it catches up", Span(begun.Late.Round(time.Second)))
	case !begun.Overtaken.IsZero():
		f.Status, f.Why = flow.Skipped, fmt.Sprintf("the time %s had come before it could begin", begun.Overtaken.Format(time.RFC3339))
	default: // its run is older than the engine remembers
		f.Run, f.Status, f.Why = begun.Run, target.Lost, "the engine keeps no record of its run any more"
	}
	return nil
}

func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return strings.TrimSuffix(err.Error(), " (type: schedule, retryable: false)")
		}
		err = inner
	}
}
