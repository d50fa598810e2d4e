package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// stage takes one stage from waiting to its end.
func (r *run) stage(ctx workflow.Context, i int) {
	s, p := &r.plan.Stages[i], &r.progress.Stages[i]
	if why := r.held(ctx, s); why != "" {
		p.Status, p.Why = Skipped, why
		if ctx.Err() != nil {
			p.Status = target.Cancelled
		}
		return
	}
	got, err := r.resolve(ctx, s)
	switch {
	case ctx.Err() != nil:
		p.Status, p.Why = target.Cancelled, "the run was cancelled before it began"
	case err != nil:
		r.fail(ctx, p, "expression", "its expressions could not be evaluated: "+err.Error())
	case got.Error != "":
		r.fail(ctx, p, "expression", got.Error)
		r.pointTo(s, p, got.At)
	case !got.If:
		p.Status, p.Why = Skipped, "its condition `if` is false"
	default:
		r.attempts(ctx, s, p, got.Results)
	}
}

// held says why a stage may not run at all: something that it needs did not
// succeed, and it does not ask about that itself.
func (r *run) held(ctx workflow.Context, s *plan.Stage) string {
	if ctx.Err() != nil {
		return "the run was cancelled before it began"
	}
	for _, n := range s.Needs {
		need := r.progress.Stages[r.index[n.Stage]]
		crossing := s.Finally && !r.plan.Stages[r.index[n.Stage]].Finally
		switch need.Status {
		case target.Succeeded:
		case Skipped:
			if n.Data {
				return fmt.Sprintf("it uses results of %q, which was skipped: %s", n.Stage, need.Why)
			}
			// A stage that was skipped because of a failure passes the failure on.
			if r.broken(n.Stage) && !crossing && !anyway(s) {
				return fmt.Sprintf("it needs %q, which did not run: %s", n.Stage, need.Why)
			}
		default:
			if n.Data {
				return fmt.Sprintf("it uses results of %q, which ended as %s", n.Stage, need.Status)
			}
			if !crossing && !anyway(s) {
				return fmt.Sprintf("it needs %q, which ended as %s", n.Stage, need.Status)
			}
		}
	}
	return ""
}

func anyway(s *plan.Stage) bool { return s.If != nil && s.If.Anyway }

// broken reports whether name, or anything that it needs, ended badly.
func (r *run) broken(name string) bool {
	seen := map[string]bool{}
	queue := []string{name}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		status := r.progress.Stages[r.index[n]].Status
		if bad(status) {
			return true
		}
		if seen[n] || status == target.Succeeded {
			continue
		}
		seen[n] = true
		queue = append(queue, needNames(r.plan.Stages[r.index[n]].Needs)...)
	}
	return false
}

func bad(s target.State) bool {
	return s == target.Failed || s == target.Lost || s == target.Cancelled
}

// upstreamFailed is what failed() says in a stage's condition. In `finally` it
// speaks of the whole pipeline.
func (r *run) upstreamFailed(s *plan.Stage) bool {
	if !s.Finally {
		return slices.ContainsFunc(needNames(s.Needs), r.broken)
	}
	for i, other := range r.plan.Stages {
		if !other.Finally && bad(r.progress.Stages[i].Status) {
			return true
		}
	}
	return false
}

// attempts runs the stage until it succeeds or its retries are used up.
func (r *run) attempts(ctx workflow.Context, s *plan.Stage, p *StageProgress, got map[string]any) {
	at, err := r.choose(ctx, s, p)
	if err != nil {
		r.fail(ctx, p, target.CauseStart, "no target could be chosen: "+message(err))
		return
	}
	p.Target, p.Place, p.Status, p.Started = at.Name, &at, target.Running, workflow.Now(ctx)
	for {
		p.Attempts++
		p.Job = fmt.Sprintf("%s.%s.%d", r.in.Run, s.Name, p.Attempts)
		out := r.attempt(ctx, s, p, at, got)
		r.record(ctx, s, p, out)
		if p.Status == target.Succeeded || ctx.Err() != nil || p.Attempts >= s.Retry.Attempts || !s.Retry.Covers(out.Cause, out.Exit) {
			return
		}
		p.Notes = append(p.Notes, fmt.Sprintf("attempt %d of %d: %s", p.Attempts, s.Retry.Attempts, p.Error))
		p.Status, p.Why, p.Ended = target.Waiting, "to be tried again", time.Time{}
		if err := workflow.Sleep(ctx, backoff(s.Retry, p.Attempts)); err != nil {
			p.Status, p.Why, p.Ended = target.Cancelled, "the run was cancelled before it was tried again", workflow.Now(ctx)
			p.Error, p.Cause = "", target.CauseCancel
			return
		}
		p.Status, p.Why, p.Error, p.Cause, p.Exit, p.Tail, p.Signal, p.At = target.Running, "", "", "", nil, nil, 0, s.At
	}
}

// backoff doubles with each attempt and stays below an hour.
func backoff(r plan.Retry, attempt int) time.Duration {
	d := time.Duration(r.Backoff)
	for range attempt - 1 {
		d = min(2*d, time.Hour)
	}
	return d
}

// choose takes the first of several targets that can be used now. With one
// there is nothing to choose.
func (r *run) choose(ctx workflow.Context, s *plan.Stage, p *StageProgress) (target.Target, error) {
	if len(s.Targets) == 1 {
		return s.Targets[0], nil
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: r.in.Control, StartToCloseTimeout: time.Minute})
	var c workers.Choice
	if err := workflow.ExecuteActivity(ctx, workers.Choose, s.Targets).Get(ctx, &c); err != nil {
		return target.Target{}, err
	}
	p.Notes = append(p.Notes, c.Notes...)
	return s.Targets[c.Index], nil
}

// attempt runs one job or deployment and says what became of it.
func (r *run) attempt(ctx workflow.Context, s *plan.Stage, p *StageProgress, at target.Target, got map[string]any) workers.Outcome {
	do, undo, work, err := r.work(s, p.Job, at, got)
	if err != nil {
		return workers.Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: err.Error()}}
	}
	var out workers.Outcome
	o := following
	o.ActivityID = p.Job // so that what Temporal says of it can be told of the stage
	long := workflow.WithActivityOptions(ctx, o)
	err = workflow.ExecuteActivity(long, do, work).Get(long, &out)
	if err == nil {
		return out
	}
	if ctx.Err() == nil {
		return workers.Outcome{Status: target.Status{State: target.Failed, Cause: target.CauseStart, Reason: message(err)}}
	}
	return r.stop(ctx, undo, work)
}

// following is how long things are followed: for ever, as long as some worker
// gives signs of life. The bound on a job is its own timeout.
var following = workflow.ActivityOptions{
	StartToCloseTimeout: 10 * 365 * 24 * time.Hour,
	HeartbeatTimeout:    workers.Heartbeat,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
}

// stop ends what a cancelled run has started, and waits until nothing is alive.
func (r *run) stop(ctx workflow.Context, undo string, work any) workers.Outcome {
	away, release := workflow.NewDisconnectedContext(ctx)
	defer release()
	o := following
	o.TaskQueue = r.in.Control
	away = workflow.WithActivityOptions(away, o)
	var out workers.Outcome
	if err := workflow.ExecuteActivity(away, undo, work).Get(away, &out); err != nil {
		out.State, out.Reason = target.Lost, "it could not be stopped: "+message(err)
	}
	if out.State == target.Lost { // nothing of it was ever started
		out.State = target.Cancelled
	}
	if out.Cause == "" && out.State != target.Succeeded {
		out.Cause = target.CauseCancel
	}
	return out
}

func (r *run) record(ctx workflow.Context, s *plan.Stage, p *StageProgress, o workers.Outcome) {
	p.Status, p.Cause, p.Signal, p.Rank, p.Error = o.State, o.Cause, o.Signal, o.Rank, o.Reason
	p.Tail, p.Log, p.URL = o.Tail, o.Log, o.URL
	p.Notes = append(p.Notes, o.Notes...)
	p.Ended = workflow.Now(ctx)
	if !o.End.IsZero() {
		p.Ended = o.End
	}
	if s.Deploy == nil && o.State != target.Lost && o.Cause != target.CauseStart {
		exit := o.Exit
		p.Exit = &exit
	}
	p.Metrics, p.Outputs = o.Metrics, outputsOf(s, o)
	if o.State != target.Succeeded {
		r.pointTo(s, p, blame(o.Cause))
	}
	if s.Deploy == nil && (o.State == target.Succeeded || o.State == target.Cancelled) {
		r.jobs = append(r.jobs, workers.Finished{Target: *p.Place, Job: p.Job})
	}
	if len(o.Answer) > 0 {
		p.Answer = o.Answer
	}
}

// outputsOf is what expressions and people see of a stage's outputs.
func outputsOf(s *plan.Stage, o workers.Outcome) map[string]any {
	if o.State != target.Succeeded {
		return nil
	}
	m := map[string]any{}
	for _, out := range s.Outputs {
		if ref, ok := o.Artifacts[out.Name]; ok {
			m[out.Name] = string(ref)
		} else if v, ok := o.Values[out.Name]; ok {
			m[out.Name] = v
		}
	}
	if s.Deploy != nil {
		m["url"] = o.URL
	}
	return m
}

func (r *run) fail(ctx workflow.Context, p *StageProgress, cause target.Cause, why string) {
	now := workflow.Now(ctx)
	if p.Started.IsZero() {
		p.Started = now
	}
	p.Status, p.Cause, p.Error, p.Ended = target.Failed, cause, why, now
}

// blame names the key of a stage that a person would change for this cause.
func blame(c target.Cause) string {
	switch c {
	case target.CauseTimeout:
		return "timeout"
	case target.CauseOOM:
		return "resources/memory"
	case workers.CauseOutput:
		return "outputs"
	case target.CauseLost:
		return "retry"
	case target.CauseSample:
		return "deploy/sample"
	}
	return "run"
}

// pointTo moves the place that people are shown to a key of the stage.
func (r *run) pointTo(s *plan.Stage, p *StageProgress, key string) {
	line, col, _ := strings.Cut(s.Places[key], ":")
	l, err := strconv.Atoi(line)
	c, err2 := strconv.Atoi(col)
	if err == nil && err2 == nil {
		p.At.Line, p.At.Col = l, c
	}
}
