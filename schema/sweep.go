package schema

import (
	"time"

	"github.com/amlflow/amlflow/schema/expr"
)

// Sweep runs a stage many times, as trials that differ in some values, and keeps the best.
type Sweep struct {
	Space     []Distribution
	Metric    string // "" when none is named
	Maximize  bool
	Algorithm Algorithm
	Stop      *StopRule // nil: no trial is stopped before its end
	Limits    SweepLimits
}

// Distribution is what one value of a trial is drawn from.
type Distribution struct {
	Name    string
	Path    string    // JSON pointer of what is written below its kind
	Kind    string    // "" when none is named
	Numbers []float64 // of all kinds but choice: bounds, or mean and deviation, and the step
	Choices []any
}

// Algorithm says how values are chosen.
type Algorithm struct {
	Kind       string // random, grid, sobol or tpe
	Seed       string // a whole number, may be an expression over params; "" means 0
	Startup    int    // of tpe
	Candidates int    // of tpe
}

// StopRule says which trials are stopped before their end.
type StopRule struct {
	Kind                     string // bandit, median, truncation or asha
	Interval, Delay          float64
	SlackFactor, SlackAmount float64 // of bandit; 0: not said
	MinTrials                int     // of median
	Percent                  float64 // of truncation
	Min, Factor, Max         float64 // of asha; Max is 0 when nothing is said
}

// SweepLimits say when a sweep ends.
type SweepLimits struct {
	Trials   string // a whole number, may be an expression over params; "" means no bound
	Parallel string // the same; "" means 1
	Time     time.Duration
	Failures *int // nil: nothing is said
}

// MaxTrials is how many trials a sweep may have.
const MaxTrials = 1000

// ofTrial are the names that every trial has, beside those of the space.
var ofTrial = map[string]expr.Type{
	"number": {Kind: expr.Int, Moment: expr.RunTime},
	"steps":  {Kind: expr.Number, Moment: expr.RunTime},
}

func (s *Source) sweep(path string) *Sweep {
	if !s.said(path) {
		return nil
	}
	w := &Sweep{Algorithm: s.algorithm(path + "/algorithm"), Stop: s.stopRule(path + "/stop")}
	for _, name := range s.Keys(path + "/space") {
		w.Space = append(w.Space, s.distribution(join(path+"/space", name), name))
	}
	if w.Metric = s.text(path + "/objective/minimize"); w.Metric == "" {
		w.Metric = s.text(path + "/objective/maximize")
		w.Maximize = w.Metric != ""
	}
	at := path + "/limits"
	w.Limits = SweepLimits{Trials: s.text(at + "/trials"), Parallel: s.text(at + "/parallel"), Time: s.duration(at + "/time")}
	if s.said(at + "/failures") {
		n := s.integer(at+"/failures", 0)
		w.Limits.Failures = &n
	}
	return w
}

func (s *Source) distribution(path, name string) Distribution {
	d := Distribution{Name: name, Path: path}
	keys := s.Keys(path)
	if len(keys) == 0 {
		return d
	}
	d.Kind, d.Path = keys[0], join(path, keys[0])
	v, _ := s.Value(d.Path)
	list := asList(v)
	if d.Kind == "choice" {
		d.Choices = list
		return d
	}
	for _, item := range list {
		if n, ok := number(item); ok {
			d.Numbers = append(d.Numbers, n)
		}
	}
	return d
}

func (s *Source) algorithm(path string) Algorithm {
	a := Algorithm{Kind: s.text(path + "/kind"), Seed: s.text(path + "/seed"), Startup: s.integer(path+"/startup", 10), Candidates: s.integer(path+"/candidates", 24)}
	if a.Kind == "" {
		a.Kind = "tpe"
	}
	return a
}

func (s *Source) stopRule(path string) *StopRule {
	if !s.said(path) {
		return nil
	}
	of := func(key string, otherwise float64) float64 {
		if n := s.number(path + "/" + key); n != nil {
			return *n
		}
		return otherwise
	}
	return &StopRule{
		Kind: s.text(path + "/kind"), Interval: of("interval", 1), Delay: of("delay", 0), SlackFactor: of("slack_factor", 0), SlackAmount: of("slack_amount", 0),
		MinTrials: s.integer(path+"/min_trials", 3), Percent: of("percent", 0), Min: of("min", 1), Factor: of("factor", 3), Max: of("max", 0),
	}
}

// trial is what ${{ trial }} holds in a stage with a sweep; and, once that has ended, what
// is known of the best one. Only the first sees what belongs to one attempt.
func (w *Sweep) trial(own bool) expr.Type {
	fields := map[string]expr.Type{"number": ofTrial["number"]}
	if own {
		fields["steps"] = ofTrial["steps"]
	}
	for _, d := range w.Space {
		fields[d.Name] = d.typed()
	}
	return expr.Type{Kind: expr.Object, Fields: fields}
}

func (d Distribution) typed() expr.Type {
	switch d.Kind {
	case "choice":
		return alike(d.Choices, expr.RunTime, 0)
	case "int", "log_int":
		return expr.Type{Kind: expr.Int, Moment: expr.RunTime}
	case "":
		return expr.Type{Moment: expr.RunTime}
	}
	return expr.Type{Kind: expr.Number, Moment: expr.RunTime}
}
