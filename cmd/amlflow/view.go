package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// view is a way to show a run that goes on, and how it ended.
type view interface {
	// notice says that something takes long. It may be called at any time.
	notice(string)
	// follow shows a run until it ends, and returns its record.
	follow(ctx context.Context, e *engine.Engine, id string) (*flow.Progress, error)
	// end shows how the run ended.
	end(*flow.Progress) error
}

// newView picks the view for the form of output and the terminal. made is nil
// when the run was started elsewhere.
func (p *program) newView(made *engine.Prepared) view {
	switch {
	case p.output == "json":
		return &quiet{p: p}
	case p.output == "ndjson":
		return &eventView{p: p, seen: stages{}}
	case terminal(p.err) && terminal(p.out) && p.colourful(p.err):
		return &live{p: p, made: made}
	}
	return &plain{p: p, made: made, seen: stages{}, asked: map[string]bool{}}
}

// quiet shows nothing until the end, and then the one object.
type quiet struct{ p *program }

func (v *quiet) notice(s string) { v.p.say("%s", s) }

func (v *quiet) follow(ctx context.Context, e *engine.Engine, id string) (*flow.Progress, error) {
	return e.Watch(ctx, id, func(*flow.Progress) {})
}

func (v *quiet) end(r *flow.Progress) error { return v.p.json(recordOf(r)) }

// plain writes one line for each change: for logs of CI and files.
type plain struct {
	p     *program
	made  *engine.Prepared
	seen  stages
	asked map[string]bool // questions to people, and why the run waits, that were shown
	mu    sync.Mutex      // notices come from elsewhere
}

func (v *plain) line(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.p.say(format, args...)
}

func (v *plain) notice(s string) { v.line("%s  %s", time.Now().Format(time.TimeOnly), s) }

func (v *plain) follow(ctx context.Context, e *engine.Engine, id string) (*flow.Progress, error) {
	v.line("run %s", v.p.paintErr(bold, id))
	return e.Watch(ctx, id, func(r *flow.Progress) {
		wide := 0
		for _, s := range r.Stages {
			wide = max(wide, len(s.Name))
		}
		if r.Why != "" && !v.asked[r.Why] {
			v.asked[r.Why] = true
			v.line("%s  %s", time.Now().Format(time.TimeOnly), clean(r.Why))
		}
		for _, s := range v.seen.changed(r) {
			v.line("%s  %-*s  %s", moment(s).Local().Format(time.TimeOnly), wide, s.Name, v.p.news(s))
		}
		for _, line := range v.p.waiting(r, v.asked) {
			v.line("%s", line)
		}
	})
}

func (v *plain) end(r *flow.Progress) error { v.p.ending(r, v.made); return nil }

// moment is when a stage came into the state it is in.
func moment(s *flow.StageProgress) time.Time {
	switch {
	case !s.Ended.IsZero():
		return s.Ended
	case s.Rollout != nil && !s.Rollout.Since.IsZero():
		return s.Rollout.Since
	case far(s) > 0: // it has come further, and nobody wrote down when
		return time.Now()
	case !s.Started.IsZero() && s.Attempts <= 1:
		return s.Started
	}
	return time.Now()
}

// news is what changed about a stage, in one line.
func (p *program) news(s *flow.StageProgress) string {
	out := state(p.colourErr, s.Status)
	switch {
	case s.Status == target.Running && s.Target == "":
	case queued(s):
		out = "queued on " + s.Target
	case s.Status == target.Running:
		out += " on " + s.Target
		if s.Attempts > 1 {
			out += ", attempt " + number(float64(s.Attempts))
		}
	case s.Status.Ended() && !s.Started.IsZero():
		out += " in " + span(s.Started, s.Ended)
	}
	reused := ""
	if s.Reused != nil {
		reused = "reused from run " + s.Reused.Run
	}
	for _, more := range []string{reused, standing(s), strings.TrimPrefix(s.Why, flow.Queued), s.Error, numbersOf(s), s.URL} {
		if more != "" {
			out += "  " + clean(more)
		}
	}
	return out
}

// stages remembers what was last shown of each stage.
type stages map[string]shown

type shown struct {
	status   target.State
	attempts int
	why      string
	tenths   int  // of the items that have ended
	turn     bool // it was seen to ask for a turn
}

// changed returns the stages about which there is something new to say, and
// remembers them. That a stage waits is nothing new at first.
func (seen stages) changed(r *flow.Progress) []*flow.StageProgress {
	var out []*flow.StageProgress
	for i := range r.Stages {
		s := &r.Stages[i]
		now := shown{status: s.Status, attempts: s.Attempts, why: why(s), tenths: far(s)}
		before, known := seen[s.Name]
		if !known {
			before = shown{status: target.Waiting}
		}
		if strings.HasPrefix(now.why, flow.Turn) && !before.turn { // the next look will tell whether it waits
			before.turn = true
			seen[s.Name] = before
			continue
		}
		now.turn = strings.HasPrefix(now.why, flow.Turn)
		if before.turn = now.turn; now != before && (now.status != target.Running || now.attempts != 0 || s.Count != nil || s.Approval != nil) {
			out = append(out, s)
		}
		seen[s.Name] = now
	}
	slices.SortStableFunc(out, func(a, b *flow.StageProgress) int { return moment(a).Compare(moment(b)) })
	return out
}

// far is tenths, also of a sweep, whose trials are not there from the beginning.
func far(s *flow.StageProgress) int {
	if s.Sweep == nil || s.Count == nil {
		return tenths(s.Count)
	}
	done := s.Count.Succeeded + s.Count.Failed + s.Count.Cancelled + s.Count.Stopped
	return 10 * done / max(s.Sweep.Trials, 10)
}

// tenths is how far a stage with many items has come, so that not each item is news.
func tenths(c *flow.Count) int {
	if c == nil || c.Total < 20 {
		return 0
	}
	return 10 * (c.Succeeded + c.Failed + c.Skipped + c.Cancelled + c.Stopped) / c.Total
}

// why leaves out the count of tries and of those in front, so that each of many is not
// news.
func why(s *flow.StageProgress) string {
	switch {
	case s.Status != target.Running || s.Approval != nil || s.Rollout != nil && !strings.HasPrefix(s.Why, "trying again"):
		return s.Why
	case strings.HasPrefix(s.Why, "trying again"):
		return "trying again"
	case queued(s):
		return "queued"
	}
	return s.Why
}

// queued reports whether a stage was handed to its target and waits there for its turn.
func queued(s *flow.StageProgress) bool {
	return s.Status == target.Running && strings.HasPrefix(s.Why, flow.Queued)
}

// reported follows what stages report while they run.
type reported map[string]*stream

type stream struct {
	job    string
	offset int64
	text   *workers.Readings
	newest map[string]*workers.Newest
	last   map[string]float64
}

// look reads what is new of one stage and returns each report in order.
func (m reported) look(ctx context.Context, e *engine.Engine, s *flow.StageProgress) []map[string]float64 {
	at := m[s.Name]
	if at == nil || at.job != s.Job {
		at = &stream{job: s.Job, text: workers.ReadingsFrom(0), newest: map[string]*workers.Newest{}, last: map[string]float64{}}
		m[s.Name] = at
	}
	at.offset, _ = e.Metrics(ctx, s, at.offset, at.text)
	var out []map[string]float64
	for _, r := range at.text.Take(false) {
		one := map[string]float64{}
		for name, x := range r.Values {
			if x-x != 0 { // no number
				continue
			}
			one[name] = x
			if at.newest[name] == nil {
				at.newest[name] = &workers.Newest{}
			}
			if at.newest[name].Is(r) {
				at.last[name] = x
			}
		}
		out = append(out, one)
	}
	return out
}

// buffer gathers bytes and hands them out by whole lines.
type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) { b.b = append(b.b, p...); return len(p), nil }

// lines returns the whole lines so far; what is after the last stays in rest.
func (b *buffer) lines(rest *[]byte) [][]byte {
	all := append(*rest, b.b...)
	b.b = nil
	var out [][]byte
	for {
		i := slices.Index(all, '\n')
		if i < 0 {
			*rest = slices.Clone(all)
			return out
		}
		out, all = append(out, all[:i:i]), all[i+1:]
	}
}
