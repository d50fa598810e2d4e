// Package flow is the workflow code that Temporal replays. Nothing here may read
// a clock, a file, a random number or the order of a map, and a change of what
// it asks of Temporal needs workflow.GetVersion: stored histories are replayed by
// a test.
package flow

import (
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The names that are part of every stored history. They never change.
const (
	Workflow      = "amlflow.run"
	Evaluate      = "amlflow.evaluate" // a local activity
	QueryProgress = "progress"
	SignalCancel  = "amlflow.cancel" // goes with every request to cancel the workflow
	// NotSucceeded marks the error of a run that ended failed; its details hold
	// the Progress.
	NotSucceeded = "amlflow.not-succeeded"
)

// Input is everything a run needs. No YAML is read after this.
type Input struct {
	Run    string            `json:"run"`
	Plan   plan.Plan         `json:"plan"`
	Store  string            `json:"store"`            // the artifact store
	Dir    string            `json:"dir,omitempty"`    // the workspace's folder, where its secrets are looked for
	Host   map[string]string `json:"host,omitempty"`   // see target.Job.Host
	Within string            `json:"within,omitempty"` // the stages around it, each with "/"
	Root   string            `json:"root,omitempty"`   // the run that this pipeline is part of; empty: it is one itself
	// Control is the task queue for what must not wait behind running jobs.
	Control string `json:"control"`
}

// run is one execution of a plan.
type run struct {
	in       Input
	plan     *plan.Plan
	index    map[string]int // of a stage in plan.Stages and progress.Stages
	users    map[string][]int
	waits    []int // how many needs of a stage have not ended
	progress *Progress
	ended    workflow.Channel // indexes of stages, as they end
	jobs     []workers.Finished
	fans     map[string]fanValues // of stages that ran over several items
	decided  map[string]Decision  // by stage
	turns    map[string]bool      // by unit; nil until the first is asked for

	given       map[string]any // instead of values, for the items of a stage
	givenFailed bool
}

func newRun(in Input, now time.Time) *run {
	r := &run{in: in, plan: &in.Plan, progress: newProgress(in, now), index: map[string]int{}, users: map[string][]int{}, fans: map[string]fanValues{}}
	for i, s := range r.plan.Stages {
		r.index[s.Name] = i
	}
	return r
}

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
	r.ended = workflow.NewBufferedChannel(ctx, len(r.plan.Stages)+1)
	if g := in.Plan.Group; g != nil {
		r.progress.Why = fmt.Sprintf("waits for its turn in the group %q", g.Name)
		release, err := r.turn(ctx, g, "run")
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		defer release()
		r.progress.Why = ""
	}
	r.stages(ctx, false)
	// What is in `finally` runs whatever happened, also when the run is cancelled.
	last, abandon := workflow.NewDisconnectedContext(ctx)
	defer abandon()
	r.onSecondCancel(last, abandon)
	r.stages(last, true)
	away, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	r.outputs(away)
	r.conclude(ctx)
	r.clean(away)
	r.forget(away)
	return r.result(ctx)
}

// onSecondCancel calls abandon when a run that is being cancelled is cancelled
// once more: somebody does not want to wait for `finally`. Temporal tells a
// workflow only once that it is cancelled, so that each wish also comes as a
// signal.
func (r *run) onSecondCancel(ctx workflow.Context, abandon workflow.CancelFunc) {
	wishes := workflow.GetSignalChannel(ctx, SignalCancel)
	workflow.Go(ctx, func(ctx workflow.Context) {
		wishes.Receive(ctx, nil)
		wishes.Receive(ctx, nil)
		abandon()
	})
}

// link notes who waits for whom.
func (r *run) link() {
	r.waits = make([]int, len(r.plan.Stages))
	for i, s := range r.plan.Stages {
		for _, n := range s.Needs {
			if s.Finally == r.plan.Stages[r.index[n.Stage]].Finally {
				r.users[n.Stage] = append(r.users[n.Stage], i)
				r.waits[i]++
			}
		}
	}
}

// stages runs those of `finally`, or the others: each as soon as all that it
// needs has ended.
func (r *run) stages(ctx workflow.Context, finally bool) {
	left := 0
	for i, s := range r.plan.Stages {
		if s.Finally != finally {
			continue
		}
		left++
		if r.waits[i] == 0 {
			r.begin(ctx, i)
		}
	}
	away, release := workflow.NewDisconnectedContext(ctx) // a cancelled run still waits for its stages to end
	defer release()
	for ; left > 0; left-- {
		var i int
		r.ended.Receive(away, &i)
		for _, user := range r.users[r.plan.Stages[i].Name] {
			if r.waits[user]--; r.waits[user] == 0 {
				r.begin(ctx, user)
			}
		}
	}
}

func (r *run) begin(ctx workflow.Context, i int) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		r.stage(ctx, i)
		away, release := workflow.NewDisconnectedContext(ctx)
		defer release()
		r.ended.Send(away, i)
	})
}

// outputs evaluates the pipeline's own outputs; one whose stage did not run is
// left out.
func (r *run) outputs(ctx workflow.Context) {
	texts := map[string]string{}
	for _, o := range r.plan.Outputs {
		if o.Expr == "" {
			r.progress.Outputs[o.Name] = o.Known
			continue
		}
		texts[o.Name] = o.Expr
	}
	if len(texts) == 0 {
		return
	}
	names := make([]string, len(r.plan.Stages))
	for i, s := range r.plan.Stages {
		names[i] = s.Name
	}
	got, err := r.evaluate(ctx, Evaluation{Texts: texts, Lenient: true, Values: r.values(names)})
	if err != nil {
		r.progress.Error = "the pipeline's outputs could not be evaluated: " + err.Error()
		return
	}
	for _, o := range r.plan.Outputs {
		if v, ok := got.Results[o.Name]; ok {
			r.progress.Outputs[o.Name] = v
		}
	}
}

// conclude derives the state of the run from those of its stages.
func (r *run) conclude(ctx workflow.Context) {
	r.progress.Status, r.progress.Ended = target.Succeeded, workflow.Now(ctx)
	for _, s := range r.progress.Stages {
		if s.Status == target.Failed || s.Status == target.Lost {
			r.progress.Status = target.Failed
		}
	}
	if ctx.Err() != nil {
		r.progress.Status = target.Cancelled
	}
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

func (r *run) result(ctx workflow.Context) (*Progress, error) {
	switch r.progress.Status {
	case target.Succeeded:
		return r.progress, nil
	case target.Cancelled:
		return r.progress, temporal.NewCanceledError(*r.progress)
	}
	return r.progress, temporal.NewNonRetryableApplicationError("run "+string(r.progress.Status), NotSucceeded, nil, *r.progress)
}

// RecordOf returns the record carried by the error of a run that did not succeed.
func RecordOf(err error) (*Progress, bool) {
	var p Progress
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == NotSucceeded && app.Details(&p) == nil {
		return &p, true
	}
	var gone *temporal.CanceledError
	if errors.As(err, &gone) && gone.HasDetails() && gone.Details(&p) == nil {
		return &p, true
	}
	return nil, false
}
