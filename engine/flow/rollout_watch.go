package flow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// How often an endpoint is looked at when nothing says how often: whether somebody
// else has moved the requests, and whether enough have come.
const (
	lookSeldom = 30 * time.Second
	lookOften  = 5 * time.Second
)

// hold waits until the end of a step, and asks its check. It is false when the
// rollout does not go on to the next.
func (m *mover) hold(step *plan.Step) bool {
	end := m.ro.Until
	patience := end.Add(time.Duration(step.Hold))
	for {
		got, ok := m.look(m.ro.Since)
		if !ok {
			return false
		}
		now := m.w.Now()
		switch {
		case now.Before(end):
			if m.wait(end) {
				continue
			}
			return false
		case step.Check == nil:
			return true
		case m.enough(step, step.Check):
			return m.verdict(step, got)
		case !now.Before(patience):
			m.giveUp(plan.CauseCheck, step.Key+"/check", m.tooFew(step))
			return false
		}
		m.u.p.Why = fmt.Sprintf("%s; its check waits for %s, until %s", m.says(step), m.lacks(step), clock(patience))
		m.w.Touch(m.u.p)
		if !m.wait(patience) {
			return false
		}
	}
}

// wait lets time pass, until the next look or the end, whatever is first. It is false
// when the run was cancelled.
func (m *mover) wait(end time.Time) bool {
	left := end.Sub(m.w.Now())
	pause := lookSeldom
	if w := m.moves.Watch; w != nil {
		pause = time.Duration(w.Every)
	} else if end.After(m.ro.Until) { // it waits for requests
		pause = min(max(left/20, lookOften), lookSeldom)
	}
	if m.w.Sleep(min(pause, left)) != nil {
		m.giveUp(target.CauseCancel, "", "the run was cancelled")
		return false
	}
	return true
}

// look measures both versions, and sees whether the rollout may go on: the requests
// are as it left them, the new version lives, and the watch has nothing against it.
func (m *mover) look(since time.Time) (workers.Routed, bool) {
	got, err := m.route(workers.Routing{Since: m.window(since, since)})
	switch {
	case err != nil:
		m.giveUp(target.CauseStart, "", "it could not be looked at: "+message(err))
		return got, false
	case m.superseded(got):
		return got, false
	case got.State == target.Failed || got.State == target.Lost || got.State == target.Cancelled:
		m.giveUp(target.CauseLost, "", strings.TrimSuffix("the new version is gone: "+got.Reason, ": "))
		return got, false
	}
	m.measured(got)
	watch := m.moves.Watch
	if watch == nil || m.mirrors() {
		return got, true
	}
	return got, m.watched(watch, since)
}

// superseded ends the rollout when somebody else has moved the requests.
func (m *mover) superseded(got workers.Routed) bool {
	t := got.Traffic
	if strings.HasPrefix(t.Split, m.ro.Deployment+".") {
		return false // its own, perhaps one that is not on record here
	}
	who := "somebody moved the requests by hand"
	switch {
	case t.Run != "":
		who = fmt.Sprintf("run %s moved the requests", t.Run)
	case len(t.Shares) == 0:
		who = "the endpoint was removed"
	}
	if t.Why != "" && t.Why != who {
		who += ": " + t.Why
	}
	if m.ro.Phase == Watching && t.Share(m.ro.Deployment) > 0 {
		m.note("the watch has ended, since " + who)
		m.ro.Phase, m.ro.Cause, m.ro.Shares = Moved, plan.CauseSuperseded, t.Shares
		return true
	}
	m.giveUp(plan.CauseSuperseded, "", who)
	m.ro.Shares = t.Shares
	return true
}

// watched asks `rollback.when` of the time before now. It is false when it holds.
func (m *mover) watched(watch *plan.Watch, since time.Time) bool {
	now := m.w.Now()
	if !now.After(since) {
		return true // nothing can have come yet
	}
	if from := now.Add(-time.Duration(watch.Over)); from.After(since) {
		since = from
	}
	before := since
	if m.ro.Phase == Watching { // it gets none any more: what counts is how it was
		before = m.ro.Since.Add(-time.Duration(watch.Over))
	}
	got, err := m.route(workers.Routing{Since: m.window(since, before)})
	if err != nil {
		m.giveUp(target.CauseStart, "", "it could not be measured: "+message(err))
		return false
	}
	m.measured(got)
	if m.ro.Figures.Requests < int64(watch.When.Requests) || watch.When.Before && (m.ro.Was == nil || m.ro.Was.Requests == 0) {
		return true
	}
	holds, because, wrong := m.ask(&watch.When)
	if wrong != "" {
		m.giveUp("expression", "rollback/when", "`rollback.when` could not be evaluated: "+wrong)
		return false
	}
	if holds {
		m.giveUp(plan.CauseCheck, "rollback/when", fmt.Sprintf("%s, and it goes back when %s, over %s in %s", because, watch.When.Text(), requests(m.ro.Figures.Requests), lasted(now.Sub(since))))
		return false
	}
	return true
}

// watch follows a version that has all requests, until its time is over.
func (m *mover) watch() {
	for {
		if m.w.Err() != nil {
			m.note("the watch was cut short, since the run was cancelled; the new version keeps the requests")
			m.ro.Phase = Moved
			return
		}
		if _, ok := m.look(m.ro.Since); !ok {
			return
		}
		left := m.ro.Until.Sub(m.w.Now())
		if left <= 0 {
			m.ro.Phase = Moved
			return
		}
		_ = m.w.Sleep(min(time.Duration(m.moves.Watch.Every), left))
	}
}

// verdict asks the check of a step.
func (m *mover) verdict(step *plan.Step, _ workers.Routed) bool {
	holds, because, wrong := m.ask(step.Check)
	over := m.over(step)
	switch {
	case wrong != "":
		m.giveUp("expression", step.Key+"/check", fmt.Sprintf("%s: its check could not be evaluated: %s; over %s", m.says(step), wrong, over))
		return false
	case !holds:
		m.giveUp(plan.CauseCheck, step.Key+"/check", fmt.Sprintf("%s: %s, wanted %s, over %s", m.says(step), because, step.Check.Text(), over))
		return false
	}
	m.note(fmt.Sprintf("%s: %s holds: %s, over %s", m.says(step), step.Check.Text(), because, over))
	return true
}

// ask answers an expression over what was measured last.
func (m *mover) ask(a *plan.Asked) (holds bool, because, wrong string) {
	if a.Expr == "" {
		return a.Known == true, "", ""
	}
	e := m.evaluation(m.u)
	e.If, e.IfDepth = a.Expr, a.Depth
	e.Own = map[string]any{"endpoint": m.visible()}
	got, err := m.w.Evaluate(e)
	if err != nil {
		return false, "", message(err)
	}
	return got.If, got.Because, got.Error
}

// visible is what expressions see of the endpoint.
func (m *mover) visible() map[string]any {
	seen := seenOf(m.ro.Figures)
	if f := m.ro.Figures; f != nil {
		seen["compared"] = int(f.Compared)
		seen["agreement"] = 1.0
		if f.Compared > 0 {
			seen["agreement"] = float64(f.Agreed) / float64(f.Compared)
		}
	}
	if m.ro.Was != nil {
		seen["before"] = seenOf(m.ro.Was)
	}
	return seen
}

func seenOf(f *target.Figures) map[string]any {
	if f == nil {
		return map[string]any{}
	}
	rate := 0.0
	if f.Requests > 0 {
		rate = float64(f.Errors) / float64(f.Requests)
	}
	reported := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(f.Reported)) {
		reported[name] = f.Reported[name]
	}
	return map[string]any{
		"requests": int(f.Requests), "errors": int(f.Errors), "rejected": int(f.Rejected), "error_rate": rate,
		"p50_ms": f.P50, "p95_ms": f.P95, "p99_ms": f.P99, "reported": reported,
	}
}

// enough reports whether so many requests were answered that a check means something.
func (m *mover) enough(step *plan.Step, a *plan.Asked) bool { return m.lacking(step, a) == "" }

func (m *mover) lacking(step *plan.Step, a *plan.Asked) string {
	n, text := m.ro.Figures.Requests, requests(int64(a.Requests))
	if step.Mirror > 0 {
		n, text = m.ro.Figures.Compared, fmt.Sprintf("%d compared answers", a.Requests)
	}
	switch {
	case n < int64(a.Requests):
		return fmt.Sprintf("%s (%d so far)", text, n)
	case a.Before && (m.ro.Was == nil || m.ro.Was.Requests == 0):
		return "a request to the version before"
	}
	return ""
}

func (m *mover) lacks(step *plan.Step) string { return m.lacking(step, step.Check) }

func (m *mover) tooFew(step *plan.Step) string {
	return fmt.Sprintf("%s: its check waited %s in vain for %s, and nothing can be said of the version without", m.says(step), lasted(m.w.Now().Sub(m.ro.Since)), m.lacks(step))
}

// window says since when both versions are measured.
func (m *mover) window(since, before time.Time) map[string]time.Time {
	all := map[string]time.Time{m.ro.Deployment: since}
	if old := m.ro.old(); old != "" {
		all[old] = before
	}
	return all
}

func (m *mover) measured(got workers.Routed) {
	f := got.Figures[m.ro.Deployment]
	m.ro.Figures, m.ro.Was = &f, nil
	if was, ok := got.Figures[m.ro.old()]; ok {
		m.ro.Was = &was
	}
	m.w.Touch(m.u.p)
}

// move puts a split into effect. It is false when that cannot be.
func (m *mover) move(s target.Split) bool {
	got, err := m.route(workers.Routing{Split: m.signed(s)})
	if err != nil {
		m.giveUp(target.CauseStart, "", "the requests could not be moved: "+message(err))
		return false
	}
	m.ro.Split, m.ro.Shares, m.ro.Mirror = s.ID, got.Traffic.Shares, s.MirrorPercent
	return true
}

func (m *mover) signed(s target.Split) *target.Split {
	s.Endpoint, s.Run, s.Stage, s.Sticky = m.u.s.Deploy.Endpoint, m.root(), m.u.s.Name, m.moves.Sticky
	return &s
}

func (m *mover) split(what string) string { return m.ro.Deployment + "." + what }

func (m *mover) route(q workers.Routing) (workers.Routed, error) {
	q.Target, q.Endpoint, q.Deployment = m.work.Target, m.u.s.Deploy.Endpoint, m.ro.Deployment
	return m.w.Route(q, m.u.p)
}

func (m *mover) note(text string) {
	if p := m.u.p; len(p.Notes) < maxNotes && !slices.Contains(p.Notes, text) {
		p.Notes = append(p.Notes, text)
	}
}

// says names a step: "10 % of the requests".
func (m *mover) says(step *plan.Step) string {
	if step.Mirror > 0 {
		return fmt.Sprintf("copies of %s %% of the requests", percent(step.Mirror))
	}
	return fmt.Sprintf("%s %% of the requests", percent(step.Weight))
}

// next says what comes after the step under way.
func (m *mover) next() string {
	if m.ro.Step+1 < len(m.moves.Steps) {
		return ", then " + m.says(&m.moves.Steps[m.ro.Step+1])
	}
	return ", then all"
}

func (m *mover) over(step *plan.Step) string {
	if step.Mirror > 0 {
		return fmt.Sprintf("%d compared answers in %s", m.ro.Figures.Compared, lasted(m.w.Now().Sub(m.ro.Since)))
	}
	return fmt.Sprintf("%s in %s", requests(m.ro.Figures.Requests), lasted(m.w.Now().Sub(m.ro.Since)))
}

func percent(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func requests(n int64) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

// lasted is a length of time without what nobody wants to know.
func lasted(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	for _, none := range []string{"m0s", "h0m"} { // 1h0m0s is 1h
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 MST") }

// mirrors reports whether the new version gets nothing but copies, so that clients see
// none of what it does.
func (m *mover) mirrors() bool {
	return m.ro.Phase == Moving && m.moves.Steps[m.ro.Step].Mirror > 0
}
