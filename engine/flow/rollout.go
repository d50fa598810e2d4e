package flow

import (
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// Rollout is how far the requests have moved to a new version.
type Rollout struct {
	Deployment string         `json:"deployment"`
	Before     []target.Share `json:"before,omitempty"` // who answered when it began; none: nobody did
	Phase      Phase          `json:"phase"`
	Step       int            `json:"step"`            // of the plan's, from 0
	Since      time.Time      `json:"since,omitzero"`  // of the step, or of the watch
	Until      time.Time      `json:"until,omitzero"`  // what it holds
	Split      string         `json:"split,omitempty"` // the last that this rollout has made
	Shares     []target.Share `json:"shares,omitempty"`
	Mirror     float64        `json:"mirror,omitempty"` // percent of the requests that are copied
	// Figures are what was measured last: of the new version and of the one before.
	Figures *target.Figures `json:"figures,omitempty"`
	Was     *target.Figures `json:"before_figures,omitempty"`
	// Reason and Cause say why it goes back, and Key where that is written.
	Reason  string       `json:"reason,omitempty"`
	Cause   target.Cause `json:"cause,omitempty"`
	Key     string       `json:"key,omitempty"`
	Outcome *ready       `json:"outcome,omitempty"`
}

// ready is what came of getting a deployment ready.
type ready = workers.Outcome

// Phase is what a rollout is doing.
type Phase string

// A rollout goes down this list, perhaps not through all of it.
const (
	Deploying Phase = "deploying" // the new version gets ready
	Moving    Phase = "moving"    // step by step
	Watching  Phase = "watching"  // all requests are its own, and the version before is kept
	GoingBack Phase = "going back"
	Moved     Phase = "moved" // for good
	WentBack  Phase = "went back"
)

// standing is the state of a stage as those see it that need it: one whose new version
// has all requests has done its work, though it is watched.
func (p *StageProgress) standing() target.State {
	if p.Rollout != nil && p.Rollout.Phase == Watching && p.Status == target.Running {
		return target.Succeeded
	}
	return p.Status
}

// old is the version that had most requests before; empty when nothing was served.
func (ro *Rollout) old() (id string) {
	most := 0.0
	for _, s := range ro.Before {
		if s.Weight > most {
			id, most = s.Deployment, s.Weight
		}
	}
	return id
}

// mover moves the requests of one endpoint to a new version.
type mover struct {
	*run
	w     World
	u     *unit
	ro    *Rollout
	moves *plan.Rollout
	work  workers.Rollout
}

// rollout deploys a version and moves the requests to it. What was done is on record
// before anything follows from it, so that it may be gone on with at any point.
func (r *run) rollout(w World, u *unit, t Task) workers.Outcome {
	p := u.p
	if p.Rollout == nil || p.Rollout.Deployment != p.Job {
		p.Rollout = &Rollout{Deployment: p.Job, Phase: Deploying}
	}
	m := &mover{r, w, u, p.Rollout, u.s.Deploy.Rollout, t.Work.(workers.Rollout)}
	if m.ro.Phase == Watching {
		m.free() // before it waits for anything
	}
	giveBack, err := r.endpointTurn(w, u, m.ro.Phase == Deploying)
	if err != nil {
		return stoppedBefore(w, err)
	}
	defer giveBack()
	if m.ro.Phase == Deploying {
		p.Why = "gets ready, and takes no requests yet"
		out := w.Attempt(t)
		if out.State != target.Succeeded {
			return out
		}
		got, err := m.route(workers.Routing{})
		if err != nil {
			return unstarted(message(err))
		}
		m.ro.Outcome, m.ro.Before, m.ro.Phase = &out, got.Traffic.Shares, Moving
		if len(m.ro.Before) == 0 && len(m.moves.Steps) > 0 {
			m.note("nothing was served before, so that it takes all requests at once")
			m.ro.Step = len(m.moves.Steps)
		}
		w.Keep() // who answered before must be known before that changes
	}
	return m.goOn()
}

// deploy brings a new version to an endpoint.
func (r *run) deploy(w World, u *unit, t Task) workers.Outcome {
	if u.s.Deploy.Rollout != nil {
		return r.rollout(w, u, t)
	}
	giveBack, err := r.endpointTurn(w, u, true)
	if err != nil {
		return stoppedBefore(w, err)
	}
	defer giveBack()
	return w.Attempt(t)
}

// endpointTurn waits until no other deployment to the endpoint is under way: with two at
// once it would be chance which version is left, and each would take from the other what
// it watches. With news people are told what it waits for.
func (r *run) endpointTurn(w World, u *unit, news bool) (giveBack func(), err error) {
	g := u.s.Deploy.Group
	if g == nil {
		return func() {}, nil
	}
	before := u.p.Why
	if news {
		u.p.Turn = g.Name
		u.p.Why = fmt.Sprintf(Turn+": one run at a time deploys to endpoint %q", u.s.Deploy.Endpoint)
		w.Touch(u.p)
	}
	giveBack, err = w.Turn(g, u.key()+":endpoint")
	if err == nil && news {
		u.p.Why, u.p.Turn = before, ""
		w.Touch(u.p)
	}
	return giveBack, err
}

// stoppedBefore is the outcome of what had not begun.
func stoppedBefore(w World, err error) workers.Outcome {
	if w.Err() != nil {
		return workers.Outcome{Status: target.Status{State: target.Cancelled, Cause: target.CauseCancel, Reason: "the run was cancelled before it began"}}
	}
	return unstarted(message(err))
}

// goOn goes on from the phase that the rollout has come to.
func (m *mover) goOn() workers.Outcome {
	if m.ro.Phase == Moving {
		m.steps()
	}
	if m.ro.Phase == Moving {
		m.promote()
	}
	if m.ro.Phase == Watching {
		m.watch()
	}
	if m.ro.Phase == GoingBack {
		return m.back()
	}
	return m.done()
}

// steps gives the new version its part of the requests, step by step.
func (m *mover) steps() {
	for m.ro.Step < len(m.moves.Steps) {
		step := &m.moves.Steps[m.ro.Step]
		if m.w.Err() != nil {
			m.giveUp(target.CauseCancel, "", "the run was cancelled")
			return
		}
		if m.ro.Since.IsZero() && !m.take(step) {
			return
		}
		if !m.hold(step) {
			return
		}
		m.ro.Step, m.ro.Since = m.ro.Step+1, time.Time{}
		m.w.Keep() // the figures of the next step say nothing of this one
	}
}

// take begins a step.
func (m *mover) take(step *plan.Step) bool {
	s := target.Split{ID: m.split(fmt.Sprint(m.ro.Step + 1)), Why: m.says(step)}
	if step.Mirror > 0 {
		s.Shares, s.Mirror, s.MirrorPercent, s.Tolerance = m.ro.Before, m.ro.Deployment, step.Mirror, step.Tolerance
	} else {
		s.Shares = m.shares(step.Weight)
		for _, b := range m.ro.Before {
			s.Keep = append(s.Keep, b.Deployment)
		}
	}
	if !m.move(s) {
		return false
	}
	now := m.w.Now()
	m.ro.Since, m.ro.Until = now, now.Add(time.Duration(step.Hold))
	m.u.p.Why = fmt.Sprintf("%s until %s%s", s.Why, clock(m.ro.Until), m.next())
	m.w.Touch(m.u.p)
	return true
}

// shares gives the new version a percentage, and the others what is left, as they
// shared the requests before.
func (m *mover) shares(percent float64) []target.Share {
	sum := 0.0
	for _, b := range m.ro.Before {
		sum += b.Weight
	}
	all := []target.Share{{Deployment: m.ro.Deployment, Weight: percent}}
	for _, b := range m.ro.Before {
		if w := b.Weight / sum * (100 - percent); w > 0 {
			all = append(all, target.Share{Deployment: b.Deployment, Weight: w})
		}
	}
	return all
}

// promote gives the new version all requests.
func (m *mover) promote() {
	s := target.Split{ID: m.split("all"), Shares: []target.Share{{Deployment: m.ro.Deployment, Weight: 100}}, Why: "all requests"}
	if m.moves.Watch != nil {
		for _, b := range m.ro.Before {
			s.Keep = append(s.Keep, b.Deployment)
		}
	}
	if m.w.Err() != nil {
		m.giveUp(target.CauseCancel, "", "the run was cancelled")
		return
	}
	if !m.move(s) {
		return
	}
	now := m.w.Now()
	m.ro.Since = now
	if m.moves.Watch == nil {
		m.ro.Phase, m.ro.Until = Moved, time.Time{}
		return
	}
	m.ro.Phase, m.ro.Until = Watching, now.Add(time.Duration(m.moves.Watch.Hold))
	m.free()
}

// free lets those begin that need the stage.
func (m *mover) free() {
	p := m.u.p
	p.URL, p.Outputs = m.ro.Outcome.URL, outputsOf(m.u.s, *m.ro.Outcome)
	p.Why = fmt.Sprintf("has all requests; watched until %s, and goes back when %s", clock(m.ro.Until), m.moves.Watch.When.Text())
	m.live = append(m.live, m.index[m.u.s.Name])
	m.w.Touch(p)
}

// done is the outcome of a version that has the requests.
func (m *mover) done() workers.Outcome {
	if m.ro.Cause == "" {
		m.note("it has all requests")
		if m.moves.Watch != nil {
			m.letGo()
		}
	}
	m.ro.Phase, m.ro.Since, m.ro.Until, m.ro.Cause, m.ro.Key = Moved, time.Time{}, time.Time{}, "", ""
	out := *m.ro.Outcome
	m.ro.Outcome = nil
	out.End = m.w.Now()
	return out
}

// letGo has the version before stop, which was kept for the case that it was wanted back.
func (m *mover) letGo() {
	s := target.Split{ID: m.split("done"), Shares: []target.Share{{Deployment: m.ro.Deployment, Weight: 100}}, Why: "the watch has ended"}
	if _, err := m.route(workers.Routing{Split: m.signed(s)}); err != nil {
		m.note("the version before could not be stopped: " + message(err))
		return
	}
	m.ro.Split = s.ID
}

// giveUp decides that the requests go back.
func (m *mover) giveUp(cause target.Cause, key, reason string) {
	m.ro.Phase, m.ro.Cause, m.ro.Reason = GoingBack, cause, reason
	if key != "" {
		m.ro.Key = "deploy/" + key
	}
	m.u.p.Why = "goes back: " + reason
	m.w.Touch(m.u.p)
	m.w.Keep() // the figures that decided it may be others by the time it is done again
}

// back gives the requests back to whom they came from.
func (m *mover) back() workers.Outcome {
	q := workers.Routing{Withdraw: true}
	what := ""
	switch {
	case m.ro.Cause == plan.CauseSuperseded: // the requests are somebody else's by now
	case len(m.ro.Before) > 0:
		s := target.Split{ID: m.split("back"), Shares: m.ro.Before, Why: m.ro.Reason}
		q.Split = m.signed(s)
		what = fmt.Sprintf("; all requests go to %s again, the version before", m.ro.old())
		if m.ro.Split == "" { // it never got any
			what = fmt.Sprintf("; all requests went on to %s, the version before", m.ro.old())
		}
	case m.ro.Split != "":
		q.Retire = true
		what = fmt.Sprintf("; there was no version before, so that nothing is served at %q now", m.u.s.Deploy.Endpoint)
	}
	got, err := m.route(q)
	out := workers.Outcome{Status: target.Status{State: target.Failed, Cause: m.ro.Cause, Reason: m.ro.Reason + what, End: m.w.Now()}}
	switch {
	case err != nil:
		out.Reason = fmt.Sprintf("%s; and the requests could not be given back: %s", m.ro.Reason, message(err))
	case m.ro.Cause == target.CauseCancel:
		out.State = target.Cancelled
	}
	if q.Split != nil && err == nil {
		m.ro.Split, m.ro.Shares, m.ro.Mirror = q.Split.ID, got.Traffic.Shares, 0
	}
	m.ro.Phase, m.ro.Since, m.ro.Until, m.ro.Outcome = WentBack, time.Time{}, time.Time{}, nil
	return out
}
