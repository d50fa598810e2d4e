package tune

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// The kinds of rules by which trials are stopped.
const (
	Bandit     = "bandit"
	Median     = "median"
	Truncation = "truncation"
	ASHA       = "asha"
)

// Stop is the rule by which trials are stopped early; without a kind none is.
type Stop struct {
	Kind string `json:"kind,omitempty"`
	// Interval is how many steps lie between two judgements, and Delay how many a trial
	// has done before the first.
	Interval float64 `json:"interval,omitempty"`
	Delay    float64 `json:"delay,omitempty"`
	// Of Bandit: how much worse than the best a trial may be. One of them is set.
	SlackFactor float64 `json:"slack_factor,omitempty"`
	SlackAmount float64 `json:"slack_amount,omitempty"`
	// MinTrials is how many others Median wants to have come as far.
	MinTrials int `json:"min_trials,omitempty"`
	// Percent of those that have come as far are stopped by Truncation.
	Percent float64 `json:"percent,omitempty"`
	// The rungs of ASHA: Min steps, Factor times as many, and so on, up to Max; 0: for ever.
	Min    float64 `json:"min,omitempty"`
	Factor float64 `json:"factor,omitempty"`
	Max    float64 `json:"max,omitempty"`
}

// judged tells whether a trial is judged that has done so many steps, and the number of
// that judgement.
func (s Stop) judged(steps float64) (at int, ok bool) {
	switch {
	case s.Kind == "" || steps <= 0:
		return 0, false
	case s.Kind == ASHA:
		if s.Max > 0 && steps >= s.Max {
			return 0, false // it is at its end
		}
		return s.rung(steps)
	case steps < s.Delay:
		return 0, false
	}
	return thin(int(min(steps/max(s.Interval, 1), math.MaxInt32)))
}

// frequent is up to where each judgement counts. Behind it one in ten does, so that what
// is kept of a trial stays small.
const frequent = 64

func thin(n int) (at int, ok bool) {
	if n <= frequent {
		return n, n > 0
	}
	for at = frequent; ; {
		next := at + max(at/10, 1)
		if next > n {
			return at, true
		}
		at = next
	}
}

// Rung is how many steps a trial does to come to rung k.
func (s Stop) Rung(k int) float64 {
	steps := s.Min * math.Pow(s.Factor, float64(k))
	if s.Max > 0 {
		steps = min(steps, s.Max)
	}
	return math.Round(steps*1e6) / 1e6
}

// Top reports whether rung k is the last.
func (s Stop) Top(k int) bool { return s.Max > 0 && s.Rung(k) >= s.Max }

// rung is the highest one that so many steps reach.
func (s Stop) rung(steps float64) (k int, ok bool) {
	if steps < s.Min {
		return 0, false
	}
	for s.Rung(k+1) <= steps && !s.Top(k) {
		k++
	}
	return k, true
}

// Judge says why trial mine is to be stopped at its latest mark; "": it goes on.
func (s Stop) Judge(g Goal, all []*Curve, mine int) string {
	m, ok := all[mine].latest()
	if !ok {
		return ""
	}
	switch s.Kind {
	case Bandit:
		return s.bandit(g, all, m)
	case Median:
		return s.median(g, all, mine, m)
	case Truncation:
		return s.truncate(g, all, mine, m)
	case ASHA:
		return s.halve(g, all, mine, m)
	}
	return ""
}

// bandit stops a trial whose best is worse than the best of all, up to the same step, by
// more than the slack. (Azure Machine Learning calls the rule so.)
func (s Stop) bandit(g Goal, all []*Curve, m Mark) string {
	best := m.Best
	for _, c := range all {
		if other, ok := c.by(m.At); ok && g.Better(other.Best, best) {
			best = other.Best
		}
	}
	if limit := s.Limit(g, best); g.Better(limit, m.Best) {
		return fmt.Sprintf("its best so far, %s, is worse than %s, which the best of all, %s, and the slack allow", show(m.Best), show(limit), show(best))
	}
	return ""
}

// Limit is the worst value that Bandit bears beside the best one: best/(1+f) for what is
// to become large, best×(1+f) for what is to become small. Below zero it is the other way
// round, so that the limit is never better than the best.
func (s Stop) Limit(g Goal, best float64) float64 {
	switch {
	case s.SlackFactor <= 0 && g.Maximize:
		return best - s.SlackAmount
	case s.SlackFactor <= 0:
		return best + s.SlackAmount
	case g.Maximize == (best >= 0):
		return best / (1 + s.SlackFactor)
	}
	return best * (1 + s.SlackFactor)
}

// median stops a trial whose best is worse than the median of the means of others up to
// the same step (D. Golovin et al., "Google Vizier", KDD 2017).
func (s Stop) median(g Goal, all []*Curve, mine int, m Mark) string {
	var means []float64
	for i, c := range all {
		if other, ok := c.reached(m.At); ok && i != mine {
			means = append(means, other.Mean)
		}
	}
	if len(means) < max(s.MinTrials, 1) {
		return ""
	}
	slices.Sort(means)
	middle := means[len(means)/2]
	if len(means)%2 == 0 {
		middle = (middle + means[len(means)/2-1]) / 2
	}
	if g.Better(middle, m.Best) {
		return fmt.Sprintf("its best so far, %s, is worse than the median of the means of %d others, %s", show(m.Best), len(means), show(middle))
	}
	return ""
}

// truncate stops the worst of those that have come as far.
func (s Stop) truncate(g Goal, all []*Curve, mine int, m Mark) string {
	n, worse := 0, 0
	for i, c := range all {
		other, ok := c.reached(m.At)
		if !ok {
			continue
		}
		n++
		if i != mine && !g.Better(other.Last, m.Last) && other.Last != m.Last {
			worse++
		}
	}
	if cut := int(float64(n) * s.Percent / 100); worse < cut {
		return fmt.Sprintf("with %s it is among the worst %d of the %d that have come as far", show(m.Last), cut, n)
	}
	return ""
}

// halve is successive halving without waiting, where trials that are not among the best
// 1/Factor of a rung when they come to it are stopped (L. Li et al., "A system for
// massively parallel hyperparameter tuning", MLSys 2020, in its stopping form).
func (s Stop) halve(g Goal, all []*Curve, mine int, m Mark) string {
	n, better := 0, 0
	for i, c := range all {
		other, ok := c.exactly(m.At)
		if !ok {
			continue
		}
		n++
		if i != mine && g.Better(other.Last, m.Last) {
			better++
		}
	}
	if keep := max(int(float64(n)/s.Factor), 1); better >= keep {
		return fmt.Sprintf("with %s it is number %d of %d after %s steps, of which %d go on", show(m.Last), better+1, n, show(s.Rung(m.At)), keep)
	}
	return ""
}

// exactly is the mark of a rung.
func (c *Curve) exactly(at int) (m Mark, ok bool) {
	i, ok := slices.BinarySearchFunc(c.Marks, at, func(m Mark, at int) int { return cmp.Compare(m.At, at) })
	if !ok {
		return m, false
	}
	return c.Marks[i], true
}

// Rest notes that a trial has come to rung k and waits there.
func (c *Curve) Rest(k int) {
	if last, ok := c.latest(); !ok || last.At < k {
		c.mark(k)
	}
}

// Promote says which of the trials that wait may go on to the next rung: of the highest
// rung that has one, the best of those among its best 1/Factor (Li et al., algorithm 2).
func (s Stop) Promote(g Goal, all []*Curve, waits []bool) (trial int, ok bool) {
	for k := s.highest(all); k >= 0; k-- {
		if s.Top(k) {
			continue
		}
		order := ranking(g, all, k)
		for _, i := range order[:int(float64(len(order))/s.Factor)] {
			if last, _ := all[i].latest(); waits[i] && last.At == k {
				return i, true
			}
		}
	}
	return 0, false
}

// Foremost is the best of the trials that wait, on the highest rung that has one.
func (s Stop) Foremost(g Goal, all []*Curve, waits []bool) (trial int, ok bool) {
	for k := s.highest(all); k >= 0; k-- {
		for _, i := range ranking(g, all, k) {
			if last, _ := all[i].latest(); waits[i] && last.At == k {
				return i, true
			}
		}
	}
	return 0, false
}

func (s Stop) highest(all []*Curve) int {
	highest := -1
	for _, c := range all {
		if last, ok := c.latest(); ok {
			highest = max(highest, last.At)
		}
	}
	return highest
}

// ranking are the trials that have come to rung k, the best first.
func ranking(g Goal, all []*Curve, k int) []int {
	var order []int
	for i, c := range all {
		if _, ok := c.exactly(k); ok {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, _ := all[a].exactly(k)
		y, _ := all[b].exactly(k)
		return cmp.Compare(g.cost(x.Last), g.cost(y.Last))
	})
	return order
}

// show is a number as people read it.
func show(v float64) string {
	if math.Abs(v) >= worst {
		return "no number"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
