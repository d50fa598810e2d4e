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
)

// stage takes one stage from waiting to its end.
func (r *run) stage(w World, i int) {
	s, p := &r.plan.Stages[i], &r.progress.Stages[i]
	if why := r.held(w, s, p); why != "" {
		p.Status, p.Why = Skipped, why
		if w.Err() != nil {
			p.Status = target.Cancelled
		}
		return
	}
	if s.Fan != nil {
		r.fan(w, s, p)
		return
	}
	if s.Sweep != nil {
		r.sweep(w, s, p)
		return
	}
	r.unit(w, whole(s, p))
}

// held says why a stage may not run at all: something that it needs did not
// succeed, and it does not ask about that itself.
func (r *run) held(w World, s *plan.Stage, p *StageProgress) string {
	if w.Err() != nil && !r.mayRun(w, s, p) {
		return "the run was cancelled before it began"
	}
	for _, n := range s.Needs {
		need := r.progress.Stages[r.index[n.Stage]]
		crossing := s.Finally && !r.plan.Stages[r.index[n.Stage]].Finally
		switch need.standing() {
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

// mayRun reports whether something of a stage may be under way though the run is
// being cancelled: it began before, or that may be on no record.
func (r *run) mayRun(w World, s *plan.Stage, p *StageProgress) bool {
	return !p.Started.IsZero() || w.Unsure() && s.Approve == nil && s.Nested == nil
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
	if r.given != nil {
		return r.givenFailed
	}
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
func (r *run) choose(w World, targets []target.Target, p *StageProgress) (target.Target, error) {
	if len(targets) == 1 {
		return targets[0], nil
	}
	c, err := w.Choose(targets)
	if err != nil {
		return target.Target{}, err
	}
	p.Notes = append(p.Notes, c.Notes...)
	return targets[c.Index], nil
}

// Stopped is the outcome of what was undone, since its run was cancelled. err says
// why it could not be.
func Stopped(out workers.Outcome, err error) workers.Outcome {
	if err != nil {
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

func (r *run) record(w World, u *unit, o workers.Outcome) {
	s, p := u.s, u.p
	p.Reused, p.Fresh = o.Reused, o.Fresh
	p.Status, p.Cause, p.Signal, p.Rank, p.Error = o.State, o.Cause, o.Signal, o.Rank, o.Reason
	p.Tail, p.Log, p.Logs, p.URL = o.Tail, o.Log, o.Logs, o.URL
	p.History, p.Tracked = o.History, o.Tracked
	switch {
	case o.Checkpoint != "":
		p.Checkpoint = o.Checkpoint
	case o.State == target.Succeeded:
		p.Checkpoint = "" // nobody needs to go on
	}
	p.Notes = append(p.Notes, o.Notes...)
	p.Ended, p.Why = w.Now(), ""
	if !o.End.IsZero() {
		p.Ended = o.End
	}
	if o.Reused == nil {
		p.since(o.Start)
	}
	job := s.Deploy == nil && s.Nested == nil && o.Reused == nil
	if job && o.State != target.Lost && o.Cause != target.CauseStart {
		exit := o.Exit
		p.Exit = &exit
	}
	p.Metrics, p.Outputs, p.Models = o.Metrics, outputsOf(s, o), o.Models
	if o.State != target.Succeeded {
		r.pointTo(s, p, blame(o.Cause))
		if p.Rollout != nil && p.Rollout.Key != "" {
			r.pointTo(s, p, p.Rollout.Key)
		}
	}
	// What a job with secrets wrote into its folder is not masked, so none is kept.
	if job && (o.State == target.Succeeded || o.State == target.Cancelled || len(p.Secrets) > 0) {
		r.finished(workers.Finished{Target: *p.Place, Job: p.Job})
	}
	if len(o.Answer) > 0 {
		p.Answer = o.Answer
	}
}

// since puts down that a job began at start: a worker that died before it was on record
// has begun it, and the attempt, and maybe the stage, are as old.
func (p *StageProgress) since(start time.Time) {
	if start.IsZero() {
		return
	}
	if start.Before(p.Begun) {
		p.Begun = start
	}
	if start.Before(p.Started) {
		p.Started = start
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
	if s.Nested != nil {
		return o.Values
	}
	return m
}

func (r *run) fail(w World, p *StageProgress, cause target.Cause, why string) {
	now := w.Now()
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
	case target.CauseCapacity:
		return "queue_timeout"
	case target.CauseSample:
		return "deploy/sample"
	case CausePipeline:
		return "pipeline"
	}
	return "run"
}

// pointTo moves the place that people are shown to a key of the stage.
func (r *run) pointTo(s *plan.Stage, p *StageProgress, key string) {
	place := s.Places[key]
	line, col, _ := strings.Cut(place, ":")
	if parts := strings.Split(place, ":"); len(parts) > 2 { // in another file
		line, col = parts[len(parts)-2], parts[len(parts)-1]
		p.At.File = strings.Join(parts[:len(parts)-2], ":")
	}
	l, err := strconv.Atoi(line)
	c, err2 := strconv.Atoi(col)
	if err == nil && err2 == nil {
		p.At.Line, p.At.Col = l, c
	}
}
