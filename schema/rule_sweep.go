package schema

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// sweeps checks stages that tune.
func (c *checker) sweeps() {
	for _, s := range c.stages() {
		if s.Sweep == nil {
			continue
		}
		at := s.Path + "/sweep"
		for i := range s.Sweep.Space {
			c.distribution(at, &s.Sweep.Space[i])
		}
		if s.kind() == "run" || s.kind() == "command" || s.kind() == "uses" { // others have no metrics, and that is said
			c.objective(s)
		}
		c.algorithm(s)
		if s.Sweep.Stop != nil {
			c.stopRule(at+"/stop", s.Sweep.Stop)
		}
		c.sweepLimits(s)
		c.sweepBeside(s)
	}
}

// numbersOf says for each kind of distribution what its numbers are.
var numbersOf = map[string][]string{
	"uniform": {"least", "greatest"}, "log_uniform": {"least", "greatest"}, "int": {"least", "greatest"}, "log_int": {"least", "greatest"},
	"q_uniform": {"least", "greatest", "step"}, "q_log_uniform": {"least", "greatest", "step"},
	"normal": {"mean", "deviation"}, "log_normal": {"mean", "deviation"}, "q_normal": {"mean", "deviation", "step"}, "q_log_normal": {"mean", "deviation", "step"},
}

func (c *checker) distribution(at string, d *Distribution) {
	if _, taken := ofTrial[d.Name]; taken {
		c.key("bad-name", join(at+"/space", d.Name), fmt.Sprintf("write another name, such as %q", d.Name+"_"), "every trial has a %q of its own: ${{ trial.%s }}", d.Name, d.Name)
	}
	if d.Kind == "choice" {
		c.choices(d)
		return
	}
	names := numbersOf[d.Kind]
	v := c.valueOf(d.Path)
	if names == nil || !isList(v) || len(d.Numbers) != len(asList(v)) {
		return // the shape has said what is wrong
	}
	if len(d.Numbers) != len(names) {
		c.value("bad-distribution", d.Path, fmt.Sprintf("write %s: [%s]", d.Kind, strings.ToUpper(strings.Join(names, ", "))), "%q takes %s, and here are %d", d.Kind, namesOf(names), len(d.Numbers))
		return
	}
	c.bounds(d, names[0] == "least")
}

func namesOf(names []string) string {
	return fmt.Sprintf("%d numbers, the %s", len(names), strings.Join(names[:len(names)-1], ", the ")+" and the "+names[len(names)-1])
}

func (c *checker) choices(d *Distribution) {
	seen := map[any]bool{}
	for i, v := range d.Choices {
		path := fmt.Sprintf("%s/%d", d.Path, i)
		if text, ok := v.(string); ok && isExpression(text) {
			c.value("wrong-value", path, "write the value out", "a choice is a value, and this is an expression")
		}
		if seen[plain(v)] && v != refused && c.few() {
			c.adviseValue("no-effect", path, "remove one of the two", "%s is twice among the choices of %q, so it is chosen twice as often", shown(v), d.Name)
		}
		seen[plain(v)] = true
	}
}

// bounds checks the numbers of a distribution, of which there are enough.
func (c *checker) bounds(d *Distribution, bounded bool) {
	bad := func(i int, cure, format string, args ...any) {
		c.value("bad-distribution", fmt.Sprintf("%s/%d", d.Path, i), cure, format, args...)
	}
	a, b := d.Numbers[0], d.Numbers[1]
	log := strings.Contains(d.Kind, "log_")
	switch {
	case bounded && a > b:
		bad(0, fmt.Sprintf("write [%s, %s%s]", plainNumber(b), plainNumber(a), rest(d.Numbers)), "the least value of %q, %s, is more than the greatest, %s", d.Name, plainNumber(a), plainNumber(b))
		return
	case bounded && a == b && !strings.HasPrefix(d.Kind, "q_"):
		bad(1, "write two different numbers, or take it out of the space", "%q can only be %s", d.Name, plainNumber(a))
		return
	case bounded && log && a <= 0:
		bad(0, "write a number above 0, or take the kind without log_", "%q chooses by the logarithm, and %s has none", d.Name, plainNumber(a))
		return
	case !bounded && b <= 0:
		bad(1, "write a number above 0", "the standard deviation of %q is %s", d.Name, plainNumber(b))
		return
	}
	if strings.HasSuffix(d.Kind, "int") {
		for i, v := range d.Numbers {
			if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
				bad(i, fmt.Sprintf("write a whole number, or `%s`", strings.Replace(d.Kind, "int", "uniform", 1)), "%q takes whole numbers, and this is %s", d.Name, plainNumber(v))
			}
		}
	}
	if len(d.Numbers) == 3 {
		c.step(d, bounded, bad)
	}
}

func rest(numbers []float64) string {
	if len(numbers) < 3 {
		return ""
	}
	return ", " + plainNumber(numbers[2])
}

func (c *checker) step(d *Distribution, bounded bool, bad func(int, string, string, ...any)) {
	q := d.Numbers[2]
	if q <= 0 {
		bad(2, "write a number above 0", "the step of %q is %s", d.Name, plainNumber(q))
		return
	}
	const slack = 1e-9
	if first, last := math.Ceil(d.Numbers[0]/q-slack), math.Floor(d.Numbers[1]/q+slack); bounded && first > last {
		bad(2, "write a smaller step", "no multiple of %s lies between %s and %s", plainNumber(q), plainNumber(d.Numbers[0]), plainNumber(d.Numbers[1]))
	}
}

// objective wants a metric that the stage declares.
func (c *checker) objective(s *Stage) {
	if s.Sweep.Metric == "" {
		return // the shape says so
	}
	key := "minimize"
	if s.Sweep.Maximize {
		key = "maximize"
	}
	declared := c.p.declared(s, "metrics")
	if declared.Fields == nil && declared.Kind != expr.Object {
		return // it cannot be known
	}
	if _, ok := declared.Fields[s.Sweep.Metric]; ok {
		return
	}
	known := slices.Sorted(maps.Keys(declared.Fields))
	hint := c.nearest.hint(s.Sweep.Metric, known, "metrics of the stage")
	if len(known) == 0 {
		hint = fmt.Sprintf("add `metrics: { %s: number }` to the stage", s.Sweep.Metric)
	}
	c.value("unknown-metric", s.Path+"/sweep/objective/"+key, hint, "the sweep is to %s %q, and stage %q declares no such metric", key, s.Sweep.Metric, s.Name)
}

func (c *checker) algorithm(s *Stage) {
	at, a := s.Path+"/sweep/algorithm", s.Sweep.Algorithm
	for _, key := range []string{"startup", "candidates"} {
		if a.Kind != "tpe" && c.valueOf(at+"/"+key) != nil {
			c.key("no-effect", at+"/"+key, "remove it, or write `kind: tpe`", "`%s` has no effect with `kind: %s`", key, a.Kind)
		}
	}
	if a.Kind == "grid" && c.valueOf(at+"/seed") != nil {
		c.advise("no-effect", at+"/seed", "remove it", "a grid has one order, whatever the seed is")
	}
	for _, d := range s.Sweep.Space {
		if a.Kind != "grid" || d.Kind == "" || gridded[d.Kind] || numbersOf[d.Kind] == nil {
			continue
		}
		c.key("no-grid", d.Path, fmt.Sprintf("write `%s` with a step or `choice` here, or `kind: sobol`, which spreads its trials evenly", gridLike[d.Kind]), "a grid needs parameters with a number of values, and %q has no end of them", d.Name)
	}
}

// gridded are the kinds of which a grid can be made, and gridLike those like others.
var (
	gridded  = map[string]bool{"choice": true, "int": true, "log_int": true, "q_uniform": true, "q_log_uniform": true}
	gridLike = map[string]string{"uniform": "q_uniform", "log_uniform": "q_log_uniform", "normal": "q_uniform", "log_normal": "q_log_uniform", "q_normal": "q_uniform", "q_log_normal": "q_log_uniform"}
)

// stopKeys are the keys of each kind of rule.
var stopKeys = map[string][]string{
	"bandit": {"interval", "delay", "slack_factor", "slack_amount"}, "median": {"interval", "delay", "min_trials"},
	"truncation": {"interval", "delay", "percent"}, "asha": {"min", "factor", "max"},
}

func (c *checker) stopRule(at string, r *StopRule) {
	known, ok := stopKeys[r.Kind]
	if !ok {
		return
	}
	for _, key := range c.p.Source.Keys(at) {
		if key == "kind" || slices.Contains(known, key) {
			continue
		}
		if c.p.Source.said(at+"/"+key) && ofSomeRule(key) { // others are unknown, and reported
			c.key("no-effect", at+"/"+key, fmt.Sprintf("remove it; `%s` takes %s", r.Kind, listed(quotedKeys(known), "and")), "`%s` has no effect with `kind: %s`", key, r.Kind)
		}
	}
	factor, amount := c.valueOf(at+"/slack_factor") != nil, c.valueOf(at+"/slack_amount") != nil
	switch {
	case r.Kind == "bandit" && factor && amount:
		c.key("two-kinds", at+"/slack_amount", "keep one of the two", "the slack is a factor or an amount, and here are both")
	case r.Kind == "bandit" && !factor && !amount:
		c.key("missing-key", at, "add `slack_factor: 0.2` or `slack_amount: 0.2`", "%s has no slack", placeWords("pipeline", at))
	case r.Kind == "truncation" && c.valueOf(at+"/percent") == nil:
		c.key("missing-key", at, "add `percent: 20`", "%s has no \"percent\"", placeWords("pipeline", at))
	case r.Kind == "asha" && r.Max > 0 && r.Max <= r.Min:
		c.value("wrong-value", at+"/max", fmt.Sprintf("write a number above %s", plainNumber(r.Min)), "each trial does at least %s and at most %s, so that none is stopped", plainNumber(r.Min), plainNumber(r.Max))
	}
}

func ofSomeRule(key string) bool {
	for _, keys := range stopKeys {
		if slices.Contains(keys, key) {
			return true
		}
	}
	return false
}

func (c *checker) sweepLimits(s *Stage) {
	at, l := s.Path+"/sweep/limits", s.Sweep.Limits
	c.text(place{path: at + "/trials", text: l.Trials, stage: s, early: true, want: expr.Type{Kind: expr.Int}})
	c.text(place{path: at + "/parallel", text: l.Parallel, stage: s, early: true, want: expr.Type{Kind: expr.Int}})
	c.text(place{path: s.Path + "/sweep/algorithm/seed", text: s.Sweep.Algorithm.Seed, stage: s, early: true, want: expr.Type{Kind: expr.Int}})
	c.time(at + "/time")
	if n, err := strconv.Atoi(l.Trials); err == nil && n > MaxTrials {
		c.value("wrong-value", at+"/trials", fmt.Sprintf("write %d or less", MaxTrials), "a sweep has %d trials at most", MaxTrials)
	}
	if c.valueOf(at+"/trials") == nil && c.valueOf(at+"/time") == nil && s.Sweep.Algorithm.Kind != "grid" {
		c.key("no-limit", s.Path+"/sweep", "add `limits: { trials: 20 }`, or a `time`", "the sweep of stage %q has no end", s.Name)
	}
}

// sweepBeside refuses what makes no sense beside a sweep.
func (c *checker) sweepBeside(s *Stage) {
	for _, key := range []string{"matrix", "each", "until"} {
		if path := s.Path + "/" + key; c.valueOf(path) != nil {
			c.key("two-kinds", path, "put one of them into a stage of its own", "stage %q has both `sweep` and `%s`", s.Name, key)
		}
	}
	t, errs := expr.Split(s.If)
	if len(errs) > 0 {
		return
	}
	for _, part := range t.Expressions() {
		x, errs := expr.Compile(part.Expr, c.p.Scope(s), expr.Type{})
		if len(errs) > 0 {
			continue
		}
		for _, ref := range x.Refs {
			if ref.Path[0] == "trial" {
				c.within("too-early", s.Path+"/if", part.Offset+ref.Offset, part.Offset+ref.End, "decide it inside the script", "whether the stage runs is decided once, before its trials")
			}
		}
	}
}
