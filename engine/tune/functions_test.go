package tune_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/amlflow/amlflow/engine/tune"
)

// problem is a function whose least value is known.
type problem struct {
	name  string
	space tune.Space
	value func(s tune.Settings, noise *rand.Rand) float64
	least float64
	// truth is the value without noise; nil: value has none.
	truth func(s tune.Settings) float64
}

func square(x float64) float64 { return x * x }

func num(s tune.Settings, name string) float64 { return s[name].(float64) }

func reals(low, high float64, n int) tune.Space {
	s := make(tune.Space, n)
	for i := range s {
		s[i] = tune.Param{Name: fmt.Sprint("x", i), Kind: tune.Uniform, A: low, B: high}
	}
	return s
}

func vector(s tune.Settings, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = num(s, fmt.Sprint("x", i))
	}
	return v
}

// of makes a problem of a function of numbers.
func of(name string, low, high float64, n int, least float64, f func([]float64) float64) problem {
	return problem{name: name, space: reals(low, high, n), least: least, value: func(s tune.Settings, _ *rand.Rand) float64 { return f(vector(s, n)) }}
}

// branin is the function of L. Dixon and G. Szegő, 1978.
func branin(x, y float64) float64 {
	a := y - 5.1/(4*math.Pi*math.Pi)*x*x + 5/math.Pi*x - 6
	return a*a + 10*(1-1/(8*math.Pi))*math.Cos(x) + 10
}

// hartmann is J. K. Hartman's function of six numbers from 0 to 1.
func hartmann(v []float64) float64 {
	weight := []float64{1, 1.2, 3, 3.2}
	a := [][]float64{{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}}
	p := [][]float64{
		{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886}, {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
		{0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650}, {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381},
	}
	sum := 0.0
	for i := range weight {
		d := 0.0
		for j, x := range v {
			d += a[i][j] * (x - p[i][j]) * (x - p[i][j])
		}
		sum -= weight[i] * math.Exp(-d)
	}
	return sum
}

func rosenbrock(v []float64) float64 {
	sum := 0.0
	for i := range v[1:] {
		sum += 100*square(v[i+1]-v[i]*v[i]) + square(1-v[i])
	}
	return sum
}

func ackley(v []float64) float64 {
	squares, waves := 0.0, 0.0
	for _, x := range v {
		squares, waves = squares+x*x, waves+math.Cos(2*math.Pi*x)
	}
	n := float64(len(v))
	return -20*math.Exp(-0.2*math.Sqrt(squares/n)) - math.Exp(waves/n) + 20 + math.E
}

// learning is what tuning is like: two numbers that matter by their logarithms and depend on
// each other, one that hardly matters, a whole number and two choices, one of which is wrong
// but for one value.
func learning(s tune.Settings) float64 {
	lr, decay := math.Log10(num(s, "lr")), math.Log10(num(s, "decay"))
	v := 0.3*square(lr+2.5) + 0.05*square(lr+decay+6) + 0.02*num(s, "dropout") + square(math.Log2(num(s, "width")/96))/40
	v += map[any]float64{"adam": 0, "sgd": 0.15, "rmsprop": 0.06, "lion": 0.3}[s["optimizer"]]
	if s["norm"] != true {
		v += 0.1
	}
	return v
}

var learningSpace = tune.Space{
	{Name: "lr", Kind: tune.LogUniform, A: 1e-6, B: 1}, {Name: "decay", Kind: tune.LogUniform, A: 1e-8, B: 1}, {Name: "dropout", Kind: tune.Uniform, A: 0, B: 0.7},
	{Name: "width", Kind: tune.LogInt, A: 8, B: 1024}, {Name: "optimizer", Kind: tune.Choice, Choices: []any{"sgd", "adam", "rmsprop", "lion"}},
	{Name: "norm", Kind: tune.Choice, Choices: []any{false, true}},
}

// mixed has its least value at one of six choices and in the middle of the rest.
func mixed(s tune.Settings) float64 {
	v := math.Abs(num(s, "x")-0.7) + math.Abs(num(s, "d")-1)/4
	if s["model"] != "d" {
		v += 0.5
	}
	if s["wide"] != true {
		v += 0.2
	}
	return v
}

var mixedSpace = tune.Space{
	{Name: "model", Kind: tune.Choice, Choices: []any{"a", "b", "c", "d", "e", "f"}}, {Name: "x", Kind: tune.Uniform, A: 0, B: 1},
	{Name: "wide", Kind: tune.Choice, Choices: []any{false, true}}, {Name: "d", Kind: tune.Normal, A: 0, B: 2},
}

func quadratic(s tune.Settings) float64 {
	x, lr, n := num(s, "x"), math.Log10(num(s, "lr")), num(s, "n")
	return (x-3)*(x-3)/100 + (lr+2)*(lr+2)/4 + (n-20)*(n-20)/1000
}

var quadraticSpace = tune.Space{{Name: "x", Kind: tune.Uniform, A: -10, B: 10}, {Name: "lr", Kind: tune.LogUniform, A: 1e-5, B: 1}, {Name: "n", Kind: tune.Int, A: 1, B: 64}}

// interacting wants the numbers of one choice elsewhere than those of the other.
func interacting(s tune.Settings) float64 {
	at := map[any]float64{"linear": 0.2, "tree": 0.8, "net": 0.5}[s["model"]]
	worse := map[any]float64{"linear": 0.1, "tree": 0, "net": 0.05}[s["model"]]
	return worse + 3*square(num(s, "x")-at) + 2*square(num(s, "y")-at*at)
}

var interactingSpace = tune.Space{{Name: "model", Kind: tune.Choice, Choices: []any{"linear", "tree", "net"}}, {Name: "x", Kind: tune.Uniform, A: 0, B: 1}, {Name: "y", Kind: tune.QUniform, A: 0, B: 1, Q: 0.05}}

// plain makes a problem of a function without noise.
func plain(name string, space tune.Space, least float64, f func(tune.Settings) float64) problem {
	return problem{name: name, space: space, least: least, value: func(s tune.Settings, _ *rand.Rand) float64 { return f(s) }}
}

// noisy adds noise to what is seen of a problem.
func noisy(p problem, by float64) problem {
	f := p.value
	p.name += ", noisy"
	p.truth = func(s tune.Settings) float64 { return f(s, nil) }
	p.value = func(s tune.Settings, noise *rand.Rand) float64 { return f(s, noise) + by*noise.NormFloat64() }
	return p
}

var problems = []problem{
	plain("branin", tune.Space{{Name: "x", Kind: tune.Uniform, A: -5, B: 10}, {Name: "y", Kind: tune.Uniform, A: 0, B: 15}}, 0.397887, func(s tune.Settings) float64 { return branin(num(s, "x"), num(s, "y")) }),
	of("hartmann 6", 0, 1, 6, -3.32237, hartmann),
	of("rosenbrock 4", -5, 10, 4, 0, rosenbrock),
	of("ackley 5", -20, 32, 5, 0, ackley),
	plain("learning", learningSpace, 0, learning),
	plain("mixed", mixedSpace, 0, mixed),
	plain("quadratic", quadraticSpace, 0, quadratic),
	plain("interacting", interactingSpace, 0, interacting),
	noisy(plain("learning", learningSpace, 0, learning), 0.05),
	noisy(plain("quadratic", quadraticSpace, 0, quadratic), 0.05),
}
