package tune_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
)

// search has an algorithm try a problem, with some trials under way at once, and returns how
// far above the least the best is that is known after each trial.
func search(a tune.Algorithm, p problem, trials, parallel int, maximize bool) []float64 {
	noise := rand.New(rand.NewPCG(uint64(a.Seed), 99))
	var told []tune.Told
	sign := 1.0
	if maximize {
		sign = -1
	}
	above := make([]float64, 0, trials)
	seen, best := math.Inf(1), math.Inf(1)
	for i := range trials {
		if done := i - parallel + 1; done > 0 { // one more has ended
			told[done-1].Outcome = tune.Complete
		}
		s, ok := a.Next(p.space, tune.Goal{Maximize: maximize}, told)
		if !ok {
			break
		}
		v := p.value(s, noise)
		if v < seen {
			if seen, best = v, v; p.truth != nil {
				best = p.truth(s)
			}
		}
		above = append(above, best-p.least)
		told = append(told, tune.Told{Settings: s, Outcome: tune.Pending, Value: sign * v})
	}
	return above
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2] + all[n/2-1]) / 2
	}
	return all[len(all)/2]
}

// TestBenchTPE prints how TPE compares to chance; AMLFLOW_TUNE_SEEDS says over how many seeds.
func TestBenchTPE(t *testing.T) {
	seeds, _ := strconv.Atoi(os.Getenv("AMLFLOW_TUNE_SEEDS"))
	if seeds == 0 {
		t.Skip("set AMLFLOW_TUNE_SEEDS to how many seeds there are to be")
	}
	first, _ := strconv.Atoi(os.Getenv("AMLFLOW_TUNE_FIRST"))
	for _, parallel := range []int{1, 4} {
		fmt.Printf("parallel %d\n%-20s", parallel, "")
		for _, n := range []int{30, 60, 120} {
			fmt.Printf("| %30s %d ", "tpe/chance, wins at", n)
		}
		fmt.Println()
		logs := [3]float64{}
		for _, p := range problems {
			fmt.Printf("%-20s", p.name)
			at := [3][2][]float64{}
			wins := [3]int{}
			for seed := range seeds {
				a := search(tune.Algorithm{Kind: tune.TPE, Seed: first + seed}, p, 120, parallel, seed%2 == 1)
				b := search(tune.Algorithm{Kind: tune.Random, Seed: first + seed}, p, 120, parallel, false)
				for i, n := range []int{30, 60, 120} {
					x, y := a[min(n, len(a))-1], b[min(n, len(b))-1]
					at[i][0], at[i][1] = append(at[i][0], x), append(at[i][1], y)
					if x <= y {
						wins[i]++
					}
				}
			}
			for i := range at {
				x, y := median(at[i][0]), median(at[i][1])
				logs[i] += math.Log(max(x, 1e-4) / max(y, 1e-4))
				fmt.Printf("| %9.4f %9.4f %5.2f %3d%% ", x, y, x/y, 100*wins[i]/seeds)
			}
			fmt.Println()
		}
		for _, l := range logs {
			fmt.Printf(" geometric mean %.3f;", math.Exp(l/float64(len(problems))))
		}
		fmt.Println()
	}
}
