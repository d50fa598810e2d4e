package flow

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The names that are part of the histories of scheduled runs. They never change.
const (
	// ScheduledWorkflow is the one that a schedule starts: it begins a run, and lasts as
	// long as that does, so that the schedule knows which of its runs go on.
	ScheduledWorkflow = "amlflow.scheduled"
	// PrepareScheduled is the activity that sees to what a run needs of this computer.
	PrepareScheduled = "amlflow.scheduled.prepare"
)

// Latest is the overlap with which one of the times that wait has a run: the newest.
const Latest = "latest"

// Timing says when a schedule begins runs, as people say it. One of Cron and Every is
// set.
type Timing struct {
	Cron     string        `json:"cron,omitempty"`
	Every    time.Duration `json:"every,omitempty"`
	Timezone string        `json:"timezone"`
	Overlap  string        `json:"overlap"`  // skip, queue, latest, cancel or allow
	CatchUp  time.Duration `json:"catch_up"` // how late a run may begin
	Jitter   time.Duration `json:"jitter,omitempty"`
}

// Scheduled is what a schedule gives each of its runs. The plan is pinned: all of its
// runs do the same.
type Scheduled struct {
	Schedule string         `json:"schedule"`
	Timing   Timing         `json:"timing"`
	Input    Input          `json:"input"` // but for Run and Mark
	Memo     map[string]any `json:"memo"`  // of the run, but for what the beginning says
	File     string         `json:"file,omitempty"`
	Profile  string         `json:"profile,omitempty"`
	Params   map[string]any `json:"params,omitempty"` // that differ from what the pipeline says
	// Sealed names what is kept for the secrets of the runs; "" when nothing is.
	Sealed string `json:"sealed,omitempty"`
}

// Preparing is the argument of PrepareScheduled.
type Preparing struct {
	Run     string     `json:"run"`
	Store   string     `json:"store"`
	PlanRef target.Ref `json:"plan_ref"`
	Sealed  string     `json:"sealed,omitempty"`
	// Of a schedule that runs the latest only: when it has times, which one this is, and when
	// it came to begin.
	Timing *Timing    `json:"timing,omitempty"`
	At     *time.Time `json:"at,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
}

// Prepared is the answer to it.
type Prepared struct {
	// Overtaken is a newer time of the schedule, which makes this one needless.
	Overtaken time.Time `json:"overtaken,omitzero"`
}

// Begun is what came of one time of a schedule.
type Begun struct {
	Run string `json:"run,omitempty"`
	// Late is set when the run was left out: nothing could begin it for longer than the
	// schedule catches up.
	Late time.Duration `json:"late,omitempty"`
	// Overtaken is the newer time for which the run was left out.
	Overtaken time.Time `json:"overtaken,omitzero"`
}

// scheduledTries bounds how many ids are tried: each may be another run's, by chance.
const scheduledTries = 10

// prepareMost is how long it may take to prepare a run, which is a few small files. What
// takes longer is done again.
const prepareMost = 10 * time.Second

// Begin begins one run of a schedule, and waits for its end. A wish to cancel it is
// passed on to the run.
func Begin(ctx workflow.Context, s Scheduled) (Begun, error) {
	info := workflow.GetInfo(ctx)
	if late := workflow.Now(ctx).Sub(info.WorkflowStartTime); late > s.Timing.CatchUp {
		return Begun{Late: late}, nil
	}
	memo := map[string]any{"schedule": s.Schedule, "scheduled": timeOf(ctx), "started": workflow.Now(ctx).UTC()}
	maps.Copy(memo, s.Memo)
	for try := 0; ; try++ {
		in := s.Input
		in.Run, in.Mark = ScheduledRun(info.WorkflowExecution.ID, info.FirstRunID, try), info.FirstRunID+"."+strconv.Itoa(try)
		memo["mark"] = in.Mark
		// A server that is told to stop may take the activity with it: this is how long it is missed.
		o := workflow.ActivityOptions{TaskQueue: in.Control, StartToCloseTimeout: prepareMost}
		p := Preparing{Run: in.Run, Store: in.Store, PlanRef: in.PlanRef, Sealed: s.Sealed}
		if s.Timing.Overlap == Latest {
			at, since := timeOf(ctx), info.WorkflowStartTime
			p.Timing, p.At, p.Since = &s.Timing, &at, &since
		}
		var got Prepared
		if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), PrepareScheduled, p).Get(ctx, &got); err != nil {
			return Begun{}, err
		}
		if !got.Overtaken.IsZero() {
			return Begun{Overtaken: got.Overtaken}, nil
		}
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID: RunWorkflowID(in.Run), WorkflowTaskTimeout: workers.Heartbeat, Memo: memo, WaitForCancellation: true,
			ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		})
		run := workflow.ExecuteChildWorkflow(child, Workflow, in)
		err := run.GetChildWorkflowExecution().Get(ctx, nil)
		if err != nil && alreadyThere(err) && try+1 < scheduledTries {
			continue
		}
		if err != nil {
			return Begun{}, err
		}
		_ = run.Get(ctx, nil) // how it ended is its own record
		return Begun{Run: in.Run}, ctx.Err()
	}
}

// timeOf is the time of the schedule that a workflow was started for.
func timeOf(ctx workflow.Context) time.Time {
	at, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime"))
	if !ok {
		at = workflow.GetInfo(ctx).WorkflowStartTime
	}
	return at.UTC()
}

// RunWorkflowID is the workflow of a run. The prefix sets our workflows apart from others
// in a shared namespace.
func RunWorkflowID(run string) string { return "amlflow-" + run }

// ScheduledRun is the id of the run that a workflow of a schedule begins: a schedule
// starts one for each of its times, and so there is one run for each.
func ScheduledRun(workflowID, runID string, try int) string {
	sum := sha256.Sum256([]byte(workflowID + "\n" + runID + "\n" + strconv.Itoa(try)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:8])
}
