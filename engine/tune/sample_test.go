package tune_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// everything has one parameter of each kind.
var everything = tune.Space{
	{Name: "choice", Kind: tune.Choice, Choices: []any{"a", 2, true}},
	{Name: "uniform", Kind: tune.Uniform, A: -1, B: 3},
	{Name: "log_uniform", Kind: tune.LogUniform, A: 1e-4, B: 1e-1},
	{Name: "normal", Kind: tune.Normal, A: 5, B: 2},
	{Name: "log_normal", Kind: tune.LogNormal, A: 1, B: 0.5},
	{Name: "q_uniform", Kind: tune.QUniform, A: 0.1, B: 0.9, Q: 0.1},
	{Name: "q_log_uniform", Kind: tune.QLogUniform, A: 16, B: 1024, Q: 16},
	{Name: "q_normal", Kind: tune.QNormal, A: 100, B: 20, Q: 5},
	{Name: "q_log_normal", Kind: tune.QLogNormal, A: 3, B: 1, Q: 2},
	{Name: "int", Kind: tune.Int, A: -2, B: 2},
	{Name: "log_int", Kind: tune.LogInt, A: 1, B: 64},
}

// Half of the values lie below the middle, by chance as well as evenly spread.
func TestDistributions(t *testing.T) {
	halves := map[string]float64{"uniform": 1, "log_uniform": math.Sqrt(1e-5), "normal": 5, "log_normal": math.E, "q_normal": 100, "q_log_uniform": 128, "q_uniform": 0.5, "int": 0, "log_int": 5.7}
	for _, kind := range []string{tune.Random, tune.Sobol} {
		below := map[string]int{}
		const n = 4096
		for i := range n {
			s := next(tune.Algorithm{Kind: kind, Seed: 7}, everything, i)
			inside(t.Fatalf, s)
			for name, half := range halves {
				if v := s[name].(float64); v < half {
					below[name] += 2
				} else if v == half {
					below[name]++
				}
			}
		}
		for name := range halves {
			if got := float64(below[name]) / 2 / n; math.Abs(got-0.5) > 0.04 {
				t.Errorf("%s: %.3f of the values of %s lie below the middle", kind, got, name)
			}
		}
	}
}

// next are the settings of trial n of an algorithm that learns nothing.
func next(a tune.Algorithm, s tune.Space, n int) tune.Settings {
	got, ok := a.Next(s, least, make([]tune.Told, n))
	if !ok {
		panic("there are no more")
	}
	return got
}

// inside wants each value to be one that its distribution has.
func inside(bad func(string, ...any), s tune.Settings) {
	f := func(name string) float64 { return s[name].(float64) }
	within := func(name string, low, high, q float64) {
		v := f(name)
		if v < low || v > high || math.IsNaN(v) || q > 0 && math.Abs(v/q-math.Round(v/q)) > 1e-9 {
			bad("%s is %v", name, v)
		}
	}
	if !slices.Contains([]any{"a", 2, true}, s["choice"]) {
		bad("choice is %v", s["choice"])
	}
	within("uniform", -1, 3, 0)
	within("log_uniform", 1e-4, 1e-1, 0)
	within("normal", -1e3, 1e3, 0)
	within("log_normal", 0, 1e6, 0)
	within("q_uniform", 0.1, 0.9, 0.1)
	within("q_log_uniform", 16, 1024, 16)
	within("q_normal", -1e3, 1e3, 5)
	within("q_log_normal", 0, 1e6, 2)
	within("int", -2, 2, 1)
	within("log_int", 1, 64, 1)
}

// Whatever an algorithm is told, what it answers is in the space, is the same when it is
// asked again, and survives being written down.
func TestAlgorithmsAnswerTheSameAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := tune.Algorithm{
			Kind: rapid.SampledFrom([]string{tune.Random, tune.Sobol, tune.TPE}).Draw(t, "kind"), Seed: rapid.Int().Draw(t, "seed"),
			Startup: rapid.IntRange(2, 5).Draw(t, "startup"), Candidates: 5,
		}
		var told []tune.Told
		for range rapid.IntRange(0, 12).Draw(t, "trials") {
			s, ok := a.Next(everything, most, told)
			if !ok {
				t.Fatal("there are no more")
			}
			inside(t.Fatalf, s)
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var read tune.Settings
			if err := json.Unmarshal(text, &read); err != nil {
				t.Fatal(err)
			}
			again, _ := a.Next(everything, most, told)
			if d := cmp.Diff(s, again); d != "" {
				t.Fatalf("asked again: %s", d)
			}
			one := tune.Told{Settings: read, Outcome: rapid.SampledFrom([]tune.Outcome{tune.Pending, tune.Complete, tune.Stopped, tune.Failed}).Draw(t, "outcome")}
			one.Value, one.Steps = rapid.Float64Range(-1e6, 1e6).Draw(t, "value"), float64(rapid.IntRange(0, 9).Draw(t, "steps"))
			told = append(told, one)
		}
	})
}

// A grid has each combination once, whatever its size, and an end.
func TestAGridIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		choices := []any{"a", "b", "c", "d"}
		s := tune.Space{
			{Name: "c", Kind: tune.Choice, Choices: choices[:rapid.IntRange(1, 4).Draw(t, "choices")]},
			{Name: "i", Kind: tune.Int, A: 3, B: float64(rapid.IntRange(3, 6).Draw(t, "greatest"))},
			{Name: "q", Kind: tune.QUniform, A: 0.1, B: rapid.SampledFrom([]float64{0.1, 0.2, 0.3, 0.7}).Draw(t, "end"), Q: 0.1},
			{Name: "l", Kind: tune.LogInt, A: 1, B: 2},
		}
		size, ok := s.Size(1000)
		if !ok {
			t.Fatal("it has no size")
		}
		a, seen := tune.Algorithm{Kind: tune.Grid}, map[string]bool{}
		var told []tune.Told
		for {
			one, more := a.Next(s, least, told)
			if !more {
				break
			}
			if key := fmt.Sprint(one["c"], one["i"], one["q"], one["l"]); seen[key] {
				t.Fatalf("%s comes twice", key)
			} else {
				seen[key] = true
			}
			told = append(told, tune.Told{Settings: one})
		}
		if len(seen) != size {
			t.Fatalf("%d combinations of %d", len(seen), size)
		}
	})
}

func TestAGridWrittenOut(t *testing.T) {
	s := tune.Space{{Name: "m", Kind: tune.Choice, Choices: []any{"a", "b"}}, {Name: "q", Kind: tune.QUniform, A: 0.1, B: 0.3, Q: 0.1}}
	var got []string
	for i := range 6 {
		one := next(tune.Algorithm{Kind: tune.Grid}, s, i)
		got = append(got, fmt.Sprint(one["m"], one["q"]))
	}
	if d := cmp.Diff([]string{"a0.1", "a0.2", "a0.3", "b0.1", "b0.2", "b0.3"}, got); d != "" {
		t.Error(d)
	}
}

// TPE does not do again what it has done in a space with few values, while there is
// something else to try.
func TestTPETriesEverythingOnce(t *testing.T) {
	s := tune.Space{{Name: "a", Kind: tune.Choice, Choices: []any{1, 2, 3}}, {Name: "b", Kind: tune.Int, A: 1, B: 6}}
	for seed := range 5 {
		a, seen := tune.Algorithm{Kind: tune.TPE, Seed: seed, Startup: 10}, map[string]bool{}
		var told []tune.Told
		for range 18 {
			one, _ := a.Next(s, least, told)
			seen[fmt.Sprint(one["a"], one["b"])] = true
			told = append(told, tune.Told{Settings: one, Outcome: tune.Complete, Value: float64(one["a"].(int))})
		}
		if len(seen) < 18 {
			t.Errorf("seed %d: %d of 18 were tried", seed, len(seen))
		}
	}
}
