package tune_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
)

// step is one report of one trial; the step is how many it has made.
type step struct {
	trial int
	value float64
}

// played reports steps in their order, and returns who was to stop after which: "1@2".
func played(s tune.Stop, g tune.Goal, trials int, steps []step) string {
	curves := make([]*tune.Curve, trials)
	for i := range curves {
		curves[i] = &tune.Curve{}
	}
	var stopped []string
	gone := map[int]bool{}
	for _, st := range steps {
		if gone[st.trial] {
			continue
		}
		c := curves[st.trial]
		if c.Add(s, g, tune.Report{Value: st.value}) && s.Judge(g, curves, st.trial) != "" {
			gone[st.trial] = true
			stopped = append(stopped, fmt.Sprintf("%d@%v", st.trial, c.Steps))
		}
	}
	return strings.Join(stopped, " ")
}

var (
	least = tune.Goal{Metric: "loss"}
	most  = tune.Goal{Metric: "acc", Maximize: true}
)

// The cases are worked by hand.
func TestStopping(t *testing.T) {
	for _, c := range []struct {
		what  string
		stop  tune.Stop
		goal  tune.Goal
		steps []step
		want  string
	}{
		{"factor 0.2 of 0.8 is 0.6667", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2}, most, []step{{0, 0.8}, {1, 0.67}, {2, 0.66}, {3, 0.8}}, "2@1"},
		{"amount 0.2 of 0.8 is 0.6", tune.Stop{Kind: tune.Bandit, SlackAmount: 0.2}, most, []step{{0, 0.8}, {1, 0.61}, {2, 0.59}}, "2@1"},
		{"factor 0.2 of 0.8 is 0.96", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2}, least, []step{{0, 0.8}, {1, 0.95}, {2, 0.97}}, "2@1"},
		{"amount 0.2 of 0.8 is 1", tune.Stop{Kind: tune.Bandit, SlackAmount: 0.2}, least, []step{{0, 0.8}, {1, 0.99}, {2, 1.01}}, "2@1"},
		{"below zero the limit is worse, too", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.25}, most, []step{{0, -0.8}, {1, -0.99}, {2, -1.01}}, "2@1"},
		{"its best counts, and not its last", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2}, most, []step{{0, 0.8}, {1, 0.7}, {1, 0.1}}, ""},
		{"what came later is not compared", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2}, most, []step{{0, 0.5}, {0, 0.9}, {1, 0.5}, {1, 0.7}}, "1@2"},
		{"the first judgement is delayed", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2, Delay: 3}, most, []step{{0, 0.8}, {0, 0.8}, {0, 0.8}, {1, 0.1}, {1, 0.1}, {1, 0.1}}, "1@3"},
		{"every second step is judged", tune.Stop{Kind: tune.Bandit, SlackFactor: 0.2, Interval: 2}, most, []step{{0, 0.8}, {0, 0.8}, {1, 0.1}, {1, 0.1}}, "1@2"},
		{"no number is the worst", tune.Stop{Kind: tune.Bandit, SlackFactor: 1}, most, []step{{0, 0.8}, {1, math.NaN()}}, "1@1"},

		// Means after two steps: 0.2, 0.4 and 0.6; their median is 0.4.
		{"worse than the median", tune.Stop{Kind: tune.Median, MinTrials: 3}, most, []step{{0, 0.1}, {0, 0.3}, {1, 0.3}, {1, 0.5}, {2, 0.5}, {2, 0.7}, {3, 0.35}, {3, 0.39}}, "3@2"},
		{"not worse than the median", tune.Stop{Kind: tune.Median, MinTrials: 3}, most, []step{{0, 0.1}, {0, 0.3}, {1, 0.3}, {1, 0.5}, {2, 0.5}, {2, 0.7}, {3, 0.35}, {3, 0.4}}, ""},
		{"of an even number, the middle of two: 0.25", tune.Stop{Kind: tune.Median, MinTrials: 2}, most, []step{{0, 0.2}, {1, 0.3}, {2, 0.24}}, "2@1"},
		{"and what is better than that goes on", tune.Stop{Kind: tune.Median, MinTrials: 2}, most, []step{{0, 0.2}, {1, 0.3}, {2, 0.26}}, ""},
		{"too few have come as far", tune.Stop{Kind: tune.Median, MinTrials: 3}, most, []step{{0, 0.5}, {1, 0.5}, {2, 0.1}, {0, 0.9}, {1, 0.9}, {2, 0.1}}, ""},
		{"the median of losses", tune.Stop{Kind: tune.Median, MinTrials: 3}, least, []step{{0, 1}, {1, 2}, {2, 3}, {3, 2.1}}, "3@1"},

		{"the worst of five", tune.Stop{Kind: tune.Truncation, Percent: 20}, most, []step{{0, 0.5}, {1, 0.6}, {2, 0.7}, {3, 0.8}, {4, 0.4}}, "4@1"},
		{"not the worst of five", tune.Stop{Kind: tune.Truncation, Percent: 20}, most, []step{{0, 0.5}, {1, 0.6}, {2, 0.7}, {3, 0.8}, {4, 0.55}}, ""},
		{"one in five of four is none", tune.Stop{Kind: tune.Truncation, Percent: 20}, most, []step{{0, 0.5}, {1, 0.6}, {2, 0.7}, {3, 0.4}}, ""},
		{"the worst two of five losses", tune.Stop{Kind: tune.Truncation, Percent: 40}, least, []step{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 3.5}}, "2@1 3@1 4@1"},

		// Rungs at 1 and 3: the best third goes on, and at least one.
		{"the best so far goes on", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3}, least, []step{{0, 3}, {1, 2}, {2, 1}}, ""},
		{"one of three", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3}, least, []step{{0, 1}, {1, 2}, {2, 3}}, "1@1 2@1"},
		{"two of six", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3}, least, []step{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 1.5}}, "1@1 2@1 3@1 4@1"},
		{"between rungs nobody is stopped", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3}, least, []step{{0, 1}, {0, 1}, {1, 0.5}, {1, 9}, {1, 9}, {0, 1}}, ""},
		{"at the second rung", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3}, least, []step{{0, 1}, {0, 1}, {0, 1}, {1, 0.5}, {1, 9}, {1, 9}}, "1@3"},
		{"at its end nobody is stopped", tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3, Max: 3}, least, []step{{0, 1}, {0, 1}, {0, 1}, {1, 0.5}, {1, 9}, {1, 9}}, ""},
	} {
		if got := played(c.stop, c.goal, 6, c.steps); got != c.want {
			t.Errorf("%s: stopped are %q, want %q", c.what, got, c.want)
		}
	}
}

// The worked check of the rule: 0.8 with a factor of 0.2, and with an amount of 0.2.
func TestTheLimitOfABandit(t *testing.T) {
	for _, c := range []struct {
		stop tune.Stop
		goal tune.Goal
		best float64
		want float64
	}{
		{tune.Stop{SlackFactor: 0.2}, most, 0.8, 0.8 / 1.2}, {tune.Stop{SlackAmount: 0.2}, most, 0.8, 0.6},
		{tune.Stop{SlackFactor: 0.2}, least, 0.8, 0.96}, {tune.Stop{SlackAmount: 0.2}, least, 0.8, 1},
		{tune.Stop{SlackFactor: 0.2}, most, -0.8, -0.96}, {tune.Stop{SlackFactor: 0.2}, least, -0.8, -0.8 / 1.2},
	} {
		if got := c.stop.Limit(c.goal, c.best); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v of %v: %v, want %v", c.stop, c.best, got, c.want)
		}
	}
}

// Nine trials rest at the first rung; the best three go on, then the best of them.
func TestASHAPromotesTheBestOfARung(t *testing.T) {
	s := tune.Stop{Kind: tune.ASHA, Min: 1, Factor: 3, Max: 9}
	var all []*tune.Curve
	var waits []bool
	rest := func(i, k int, v float64) {
		for len(all) <= i {
			all, waits = append(all, &tune.Curve{}), append(waits, false)
		}
		all[i].Add(tune.Stop{}, least, tune.Report{Step: s.Rung(k), Stepped: true, Value: v})
		all[i].Rest(k)
		waits[i] = true
	}
	var went []string
	next := func() {
		if i, ok := s.Promote(least, all, waits); ok {
			waits[i] = false
			went = append(went, fmt.Sprint(i))
			return
		}
		went = append(went, "-")
	}
	rest(0, 0, 5)
	rest(1, 0, 4)
	next() // of two, no third
	rest(2, 0, 6)
	next() // 1 is the best of three
	next()
	for i, v := range []float64{1, 2, 3, 7, 8, 9} {
		rest(3+i, 0, v)
	}
	next() // 3, 4, 5 are the best of nine
	next()
	next()
	next()
	rest(3, 1, 1)
	rest(4, 1, 0.5)
	next()
	rest(5, 1, 0.7)
	next() // 4 is the best of three on the second rung
	rest(4, 2, 0.4)
	next() // and at its end
	if got, want := strings.Join(went, " "), "- 1 - 3 4 5 - - 4 -"; got != want {
		t.Errorf("went %s, want %s", got, want)
	}
	if i, ok := s.Foremost(least, all, waits); !ok || i != 4 {
		t.Errorf("the foremost is %d", i)
	}
}

// Steps may count from 0, may be far apart, and an attempt that goes on tells some again.
func TestCurves(t *testing.T) {
	reports := func(list ...tune.Report) tune.Curve {
		var c tune.Curve
		for _, r := range list {
			c.Add(tune.Stop{Kind: tune.Bandit}, least, r)
		}
		return c
	}
	at := func(step, v float64) tune.Report { return tune.Report{Step: step, Stepped: true, Value: v} }
	for _, c := range []struct {
		what              string
		got               tune.Curve
		steps, last, best float64
		marks             int
	}{
		{"from 0", reports(at(0, 3), at(1, 2)), 2, 2, 2, 2},
		{"from 1", reports(at(1, 3), at(2, 4)), 2, 4, 3, 2},
		{"far apart", reports(at(100, 3), at(200, 2)), 200, 2, 2, 2},
		{"told again", reports(at(1, 3), at(2, 2), at(1, 9), at(2, 1.5), at(3, 1)), 3, 1, 1, 3},
		{"without steps", reports(tune.Report{Value: 2}, tune.Report{Value: 1}), 2, 1, 1, 2},
		{"a last word without a step", reports(at(1, 3), at(2, 2), tune.Report{Value: 1}), 2, 1, 2, 2},
	} {
		if c.got.Steps != c.steps || c.got.Last != c.last || c.got.Best != c.best || len(c.got.Marks) != c.marks {
			t.Errorf("%s: got %+v", c.what, c.got)
		}
	}
	var long tune.Curve
	for range 100_000 {
		long.Add(tune.Stop{Kind: tune.Bandit, Interval: 1}, least, tune.Report{Value: 1})
	}
	if len(long.Marks) > 150 {
		t.Errorf("%d marks are kept of a long trial", len(long.Marks))
	}
	if bad := reports(at(1, 3), at(2, math.NaN())); true {
		if _, ok := bad.Number(); ok {
			t.Error("NaN is a number")
		}
	}
}
