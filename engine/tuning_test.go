package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// tuning is a sweep whose trials report what they were given.
const tuning = `amlflow: v1
pipeline: p
stages:
  tune:
    run: 'metrics {"loss": $X}'
    env: { X: "${{ trial.x }}" }
    metrics: { loss: number }
    sweep:
      space: { x: { log_uniform: [0.001, 10] }, m: { choice: [a, b, c] } }
      objective: { minimize: loss }
      algorithm: { kind: KIND, seed: SEED }
      limits: { trials: 14, parallel: PARALLEL }
`

// The same seed gives the same trials: with one after another whatever the algorithm is,
// and beside each other where it learns nothing. Each is done once.
func TestTheSameSeedGivesTheSameTrials(t *testing.T) {
	c, d := inside(t)
	trials := func(id, kind string, seed, parallel int) string {
		t.Helper()
		text := strings.NewReplacer("KIND", kind, "SEED", fmt.Sprint(seed), "PARALLEL", fmt.Sprint(parallel)).Replace(tuning)
		p := ran(t, c, id, text)
		s := p.Stage("tune")
		if s.Status != target.Succeeded || len(s.Items) != 14 || s.Count.Succeeded != 14 {
			t.Fatalf("%s: %s, %+v: %s", id, s.Status, s.Count, s.Error)
		}
		best, all := s.Items[0].Trial, []any{}
		for i := range s.Items {
			tr := s.Items[i].Trial
			all = append(all, tr.Settings)
			if *tr.Value < *best.Value {
				best = tr
			}
		}
		if s.Sweep.Best != fmt.Sprintf("tune[%d]", best.Number) || s.Metrics["loss"] != *best.Value || fmt.Sprint(s.Sweep.Trial["x"]) != fmt.Sprint(best.Settings["x"]) {
			t.Errorf("%s: the best is %+v, and %+v is told", id, best, s.Sweep)
		}
		text2, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(text2)
	}
	for _, kind := range []string{"random", "sobol", "tpe"} {
		first := trials(kind+"-1", kind, 7, 1)
		if again := trials(kind+"-2", kind, 7, 1); again != first {
			t.Errorf("%s, once more:\n%s\n%s", kind, first, again)
		}
		if other := trials(kind+"-3", kind, 8, 1); other == first {
			t.Errorf("%s has the same trials with another seed", kind)
		}
		if beside := trials(kind+"-4", kind, 7, 4); kind != "tpe" && beside != first {
			t.Errorf("%s, four at once:\n%s\n%s", kind, first, beside)
		}
	}
	seen := map[string]int{}
	for _, j := range d.Jobs() {
		seen[j.ID]++
	}
	if len(seen) != 3*4*14 {
		t.Errorf("%d jobs were started, want %d", len(seen), 3*4*14)
	}
}
