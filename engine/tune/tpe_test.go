package tune_test

import (
	"math"
	"testing"

	"github.com/amlflow/amlflow/engine/tune"
)

// On functions with known optima TPE comes nearer than chance within as many trials, on each
// and on most by far, also with several trials at once.
func TestTPEFindsKnownOptimaSoonerThanChance(t *testing.T) {
	const seeds, trials, parallel = 8, 60, 2
	all := 0.0
	for _, p := range problems {
		var tpe, random []float64
		won := 0
		for seed := range seeds {
			a := search(tune.Algorithm{Kind: tune.TPE, Seed: seed}, p, trials, parallel, seed%2 == 1)[trials-1]
			b := search(tune.Algorithm{Kind: tune.Random, Seed: seed}, p, trials, parallel, false)[trials-1]
			if tpe, random = append(tpe, a), append(random, b); a < b {
				won++
			}
		}
		near, far := median(tpe), median(random)
		all += math.Log(max(near, 1e-4) / far)
		t.Logf("%s: the median of TPE is %.4f above the optimum, that of chance %.4f; TPE won %d of %d", p.name, near, far, won, seeds)
		if near > 0.75*far || won < seeds*5/8 {
			t.Errorf("%s: that is not enough", p.name)
		}
	}
	if mean := math.Exp(all / float64(len(problems))); mean > 0.2 {
		t.Errorf("what is left to the optimum is %.3f of what chance leaves", mean)
	}
}
