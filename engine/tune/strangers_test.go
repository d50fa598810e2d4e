package tune_test

import (
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
)

func rastrigin(v []float64) float64 {
	sum := 10 * float64(len(v))
	for _, x := range v {
		sum += x*x - 10*math.Cos(2*math.Pi*x)
	}
	return sum
}

// camel is the six-hump camel function.
func camel(s tune.Settings) float64 {
	x, y := num(s, "x"), num(s, "y")
	return (4-2.1*x*x+x*x*x*x/3)*x*x + x*y + (-4+4*y*y)*y*y
}

// medley has a part for each of some distributions.
func medley(s tune.Settings) float64 {
	v := camel(s) + square(math.Log10(num(s, "lr"))+3.3) + math.Abs(num(s, "n")-37)/100 + math.Abs(num(s, "q")-7.5)/5 + math.Abs(num(s, "w"))/10
	if s["k"] != 2.5 {
		v++
	}
	return v
}

// strangers are functions that nothing of TPE was chosen on.
var strangers = []problem{
	of("rosenbrock 2", -2, 2, 2, 0, rosenbrock), of("rastrigin 2", -5.12, 5.12, 2, 0, rastrigin), of("rastrigin 5", -5.12, 5.12, 5, 0, rastrigin), of("ackley 2", -32, 32, 2, 0, ackley),
	plain("six-hump camel", tune.Space{{Name: "x", Kind: tune.Uniform, A: -3, B: 3}, {Name: "y", Kind: tune.Uniform, A: -2, B: 2}}, -1.0316284535, camel),
	plain("8 decades", tune.Space{{Name: "lr", Kind: tune.LogUniform, A: 1e-8, B: 1}}, 0, func(s tune.Settings) float64 { return square(math.Log10(num(s, "lr")) + 3.3) }),
	of("sphere 10", -5, 5, 10, 0, func(v []float64) float64 {
		sum := 0.0
		for _, x := range v {
			sum += square(x - 1)
		}
		return sum
	}),
	plain("medley", tune.Space{
		{Name: "x", Kind: tune.Uniform, A: -3, B: 3}, {Name: "y", Kind: tune.Uniform, A: -2, B: 2}, {Name: "lr", Kind: tune.LogUniform, A: 1e-8, B: 1}, {Name: "n", Kind: tune.LogInt, A: 1, B: 1000},
		{Name: "q", Kind: tune.QUniform, A: 0, B: 10, Q: 0.5}, {Name: "k", Kind: tune.Choice, Choices: []any{1.0, 2.5, "adam", true}}, {Name: "w", Kind: tune.QUniform, A: -6, B: 6, Q: 0.5},
	}, -1.0316284535, medley),
}

// Whatever the function, and however many trials are under way at once, TPE leaves less to
// the optimum than chance does.
func TestTPEOnStrangeFunctions(t *testing.T) {
	seeds, _ := strconv.Atoi(os.Getenv("AMLFLOW_TUNE_SEEDS"))
	if seeds == 0 {
		seeds = 5
	}
	for _, p := range strangers {
		for _, parallel := range []int{1, 16} {
			var ours, chance []float64
			for seed := range seeds {
				a := search(tune.Algorithm{Kind: tune.TPE, Seed: seed}, p, 100, parallel, seed%2 == 1)
				b := search(tune.Algorithm{Kind: tune.Random, Seed: seed}, p, 100, parallel, seed%2 == 1)
				ours, chance = append(ours, a[99]), append(chance, b[99])
			}
			if x, y := median(ours), median(chance); x >= y {
				t.Errorf("%s, %d at once: %.4g is left, and only %.4g by chance", p.name, parallel, x, y)
			} else {
				t.Logf("%s, %d at once: %.4g is left, and %.4g by chance", p.name, parallel, x, y)
			}
		}
	}
}
