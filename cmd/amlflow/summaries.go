package main

import (
	"math"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers"
)

// seriesKey names one metric of one attempt of a stage.
type seriesKey struct {
	stage   string
	attempt int
	metric  string
}

// summary is what is told of a series: its last value is that of the highest step. What is
// no number is left out of the least and the most, and is the last if it comes last: a model
// that has diverged is no good one.
type summary struct {
	last, least, most float64
	count             int
	step              string // of the last value
	newest            workers.Newest
	points            []engine.Point
}

// summaries gathers points by series, in the order in which they first come.
type summaries struct {
	of    map[seriesKey]*summary
	order []seriesKey
}

func newSummaries() *summaries { return &summaries{of: map[seriesKey]*summary{}} }

func (a *summaries) add(x engine.Point) {
	key := seriesKey{x.Stage, x.Attempt, x.Metric}
	s := a.of[key]
	if s == nil {
		s = &summary{least: math.NaN(), most: math.NaN()}
		a.of[key] = s
		a.order = append(a.order, key)
	}
	if s.newest.Is(workers.Report{Step: x.Step, HasStep: x.HasStep}) {
		s.last = x.Value
		if x.HasStep {
			s.step = number(x.Step)
		}
	}
	s.count++
	s.points = append(s.points, x)
	if !(x.Value >= s.least) && !math.IsNaN(x.Value) {
		s.least = x.Value
	}
	if !(x.Value <= s.most) && !math.IsNaN(x.Value) {
		s.most = x.Value
	}
}

// attempts reports whether any stage has more than one.
func (a *summaries) attempts() bool {
	for _, key := range a.order {
		if key.attempt > 1 {
			return true
		}
	}
	return false
}

// newest are the series of the last attempt of each stage, by stage and metric.
func (a *summaries) newest() map[seriesKey]*summary {
	last := map[string]int{}
	for _, key := range a.order {
		last[key.stage] = max(last[key.stage], key.attempt)
	}
	all := map[seriesKey]*summary{}
	for _, key := range a.order {
		if key.attempt == last[key.stage] {
			all[seriesKey{stage: key.stage, metric: key.metric}] = a.of[key]
		}
	}
	return all
}
