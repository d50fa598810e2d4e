package plan

import (
	"fmt"
	"math"
	"strconv"

	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/schema"
)

// Sweep is what a stage tunes, as trials of which the best counts.
type Sweep struct {
	Space     tune.Space     `json:"space"`
	Objective tune.Goal      `json:"objective"`
	Algorithm tune.Algorithm `json:"algorithm"`
	Stop      tune.Stop      `json:"stop,omitzero"`
	// Rests tells that trials wait at the rungs of the rule, and go on from their
	// checkpoints; else they go on until they are stopped.
	Rests    bool     `json:"rests,omitempty"`
	Trials   int      `json:"trials,omitempty"` // at most; 0: until the time is over
	Parallel int      `json:"parallel"`         // at once
	Time     Duration `json:"time,omitempty"`
	Failures *int     `json:"failures,omitempty"` // that it bears; nil: any number, once one has succeeded
}

// MaxTrials is how many trials a sweep may have.
const MaxTrials = schema.MaxTrials

// sweep compiles what the stage tunes. A template says what one trial does, and not that
// there are many.
func (b *staging) sweep() {
	l := b.layers[0]
	s := l.s.Sweep
	if s == nil {
		return
	}
	at := l.s.Path + "/sweep"
	out := &Sweep{
		Objective: tune.Goal{Metric: s.Metric, Maximize: s.Maximize}, Algorithm: tune.Algorithm{Kind: s.Algorithm.Kind},
		Time: Duration(s.Limits.Time), Failures: s.Limits.Failures, Parallel: 1,
	}
	for _, d := range s.Space {
		out.Space = append(out.Space, param(d))
	}
	if s.Algorithm.Kind == tune.TPE {
		out.Algorithm.Startup, out.Algorithm.Candidates = s.Algorithm.Startup, s.Algorithm.Candidates
	}
	out.Algorithm.Seed = b.seed(l, at+"/algorithm/seed", s.Algorithm.Seed)
	if s.Stop != nil {
		out.Stop = stopOf(s.Stop)
		out.Rests = s.Stop.Kind == tune.ASHA && b.says("checkpoint").s.Checkpoint != nil
	}
	if n, ok := b.whole(l, at+"/limits/parallel", s.Limits.Parallel); ok {
		out.Parallel = n
	}
	if n, ok := b.whole(l, at+"/limits/trials", s.Limits.Trials); ok {
		out.Trials = n
	}
	if out.Algorithm.Kind == tune.Grid {
		b.grid(l, at, out)
	}
	if out.Trials > schema.MaxTrials {
		b.bad(l, at+"/limits/trials", "bad-amount", fmt.Sprintf("a sweep has %d trials at most, and these are %d", schema.MaxTrials, out.Trials), "make it fewer")
	}
	b.out.Sweep = out
}

// grid bounds the trials by the combinations that there are.
func (b *staging) grid(l *layer, at string, out *Sweep) {
	size, ok := out.Space.Size(math.MaxInt32)
	switch {
	case !ok: // schema.Check has said so
	case out.Trials == 0 && size > schema.MaxTrials:
		b.bad(l, at+"/space", "too-large", fmt.Sprintf("the grid has %d combinations, and a sweep has %d trials at most", size, schema.MaxTrials), "take larger steps, or another `kind` of algorithm with `limits: { trials: N }`")
	case out.Trials == 0 || out.Trials > size:
		out.Trials = size
	}
}

func param(d schema.Distribution) tune.Param {
	p := tune.Param{Name: d.Name, Kind: d.Kind, Choices: d.Choices}
	for i, to := range []*float64{&p.A, &p.B, &p.Q} {
		if i < len(d.Numbers) {
			*to = d.Numbers[i]
		}
	}
	return p
}

// stopOf takes what the kind of rule reads.
func stopOf(r *schema.StopRule) tune.Stop {
	s := tune.Stop{Kind: r.Kind}
	if r.Kind == tune.ASHA {
		s.Min, s.Factor, s.Max = r.Min, r.Factor, r.Max
		return s
	}
	s.Interval, s.Delay = r.Interval, r.Delay
	switch r.Kind {
	case tune.Bandit:
		s.SlackFactor, s.SlackAmount = r.SlackFactor, r.SlackAmount
	case tune.Median:
		s.MinTrials = r.MinTrials
	case tune.Truncation:
		s.Percent = r.Percent
	}
	return s
}

// whole is a whole number from 1 on.
func (b *staging) whole(l *layer, at, text string) (int, bool) {
	v, ok := b.amount(l, at, text)
	if ok && (v != math.Trunc(v) || v > math.MaxInt32) {
		b.bad(l, at, "bad-amount", fmt.Sprintf("%v is no whole number", v), "write a whole number from 1 on")
		return 0, false
	}
	return int(v), ok
}

func (b *staging) seed(l *layer, at, text string) int {
	text, ok := b.now(l, at, text)
	if !ok || text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		b.bad(l, at, "bad-amount", fmt.Sprintf("%q is no seed", text), "write a whole number from 0 on")
	}
	return n
}
