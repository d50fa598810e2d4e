package tune_test

import (
	"math"
	"slices"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
)

// problem is a function whose optimum is known.
type problem struct {
	name   string
	space  tune.Space
	value  func(tune.Settings) float64
	least  float64
	trials int
	within float64 // of the least value TPE must come, in the median of all seeds
}

// problems: Branin's function is that of L. Dixon and G. Szegő, 1978; the mixed one has
// its optimum at one of six choices and in the middle of the rest.
var problems = []problem{
	{
		"branin", tune.Space{{Name: "x", Kind: tune.Uniform, A: -5, B: 10}, {Name: "y", Kind: tune.Uniform, A: 0, B: 15}},
		func(s tune.Settings) float64 {
			x, y := s["x"].(float64), s["y"].(float64)
			a := y - 5.1/(4*math.Pi*math.Pi)*x*x + 5/math.Pi*x - 6
			return a*a + 10*(1-1/(8*math.Pi))*math.Cos(x) + 10
		}, 0.397887, 60, 0.3,
	},
	{
		"quadratic", tune.Space{{Name: "x", Kind: tune.Uniform, A: -10, B: 10}, {Name: "lr", Kind: tune.LogUniform, A: 1e-5, B: 1}, {Name: "n", Kind: tune.Int, A: 1, B: 64}},
		func(s tune.Settings) float64 {
			x, lr, n := s["x"].(float64), math.Log10(s["lr"].(float64)), s["n"].(float64)
			return (x-3)*(x-3)/100 + (lr+2)*(lr+2)/4 + (n-20)*(n-20)/1000
		}, 0, 60, 0.03,
	},
	{
		"mixed", tune.Space{
			{Name: "model", Kind: tune.Choice, Choices: []any{"a", "b", "c", "d", "e", "f"}}, {Name: "x", Kind: tune.Uniform, A: 0, B: 1},
			{Name: "wide", Kind: tune.Choice, Choices: []any{false, true}}, {Name: "d", Kind: tune.Normal, A: 0, B: 2},
		},
		func(s tune.Settings) float64 {
			v := math.Abs(s["x"].(float64)-0.7) + math.Abs(s["d"].(float64)-1)/4
			if s["model"] != "d" {
				v += 0.5
			}
			if s["wide"] != true {
				v += 0.2
			}
			return v
		}, 0, 60, 0.1,
	},
}

// search is the best value that an algorithm finds.
func search(a tune.Algorithm, p problem, maximize bool) float64 {
	var told []tune.Told
	best, sign := math.Inf(1), 1.0
	if maximize {
		sign = -1
	}
	for range p.trials {
		s, ok := a.Next(p.space, tune.Goal{Maximize: maximize}, told)
		if !ok {
			panic("there are more")
		}
		v := p.value(s)
		best = min(best, v)
		told = append(told, tune.Told{Settings: s, Outcome: tune.Complete, Value: sign * v})
	}
	return best
}

// Over many seeds TPE comes near the optimum, and is better than chance in almost all.
func TestTPEFindsKnownOptimaSoonerThanChance(t *testing.T) {
	const seeds = 20
	for i, p := range problems {
		t.Run(p.name, func(t *testing.T) {
			var tpe, random []float64
			won := 0
			for seed := range seeds {
				a := search(tune.Algorithm{Kind: tune.TPE, Seed: seed}, p, i == 1) - p.least
				b := search(tune.Algorithm{Kind: tune.Random, Seed: seed}, p, i == 1) - p.least
				if tpe, random = append(tpe, a), append(random, b); a < b {
					won++
				}
			}
			slices.Sort(tpe)
			slices.Sort(random)
			t.Logf("the median of TPE is %.4f above the optimum, that of chance %.4f; TPE won %d of %d", tpe[seeds/2], random[seeds/2], won, seeds)
			if tpe[seeds/2] > p.within || won < seeds*8/10 {
				t.Error("that is not enough")
			}
		})
	}
}
