package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/client"
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

// onRecord is a target that looks, before it does anything for a trial, whether that is on
// record.
type onRecord struct {
	*dummy.Driver
	c   func() client.Client
	bad func(string, ...any)
}

// trial is what is on record of the trial that a job is for.
func (d onRecord) trial(id string) *flow.Trial {
	run, rest, _ := strings.Cut(id, ".tune.")
	number, _, _ := strings.Cut(rest, "-")
	got, err := d.c().QueryWorkflow(context.Background(), "amlflow-"+run, "", flow.QueryProgress)
	if err != nil {
		d.bad("%v", err)
		return nil
	}
	var s flow.Standing
	var state flow.State
	if err := got.Get(&s); err != nil || s.At.State == nil {
		return nil
	}
	if err := json.Unmarshal(s.At.State, &state); err != nil {
		d.bad("%v", err)
		return nil
	}
	items := state.Progress.Stage("tune").Items
	i, _ := strconv.Atoi(number) // from 1
	if i < 1 || i > len(items) {
		return nil
	}
	return items[i-1].Trial
}

func (d onRecord) Submit(ctx context.Context, t target.Target, j target.Job, in target.Blobs) error {
	tr := d.trial(j.ID)
	if text, err := json.Marshal(tr); tr == nil || err != nil || !strings.Contains(string(text), `"settings":`+j.Env["AMLFLOW_TRIAL_PARAMS"]) {
		d.bad("the job %s begins with %s, and on record is %s", j.ID, j.Env["AMLFLOW_TRIAL_PARAMS"], text)
	}
	return d.Driver.Submit(ctx, t, j, in)
}

func (d onRecord) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	if tr := d.trial(id); tr == nil || tr.Stop == "" {
		d.bad("the job %s is asked to end, and on record is %+v", id, tr)
	}
	return d.Driver.Cancel(ctx, t, id, why)
}

// What a sweep decides is on record before anything of it is done: else a worker that was
// killed in between would have done what the next one decides in another way.
func TestWhatASweepDecidesIsOnRecordFirst(t *testing.T) {
	var c client.Client
	d := onRecord{dummy.New(), func() client.Client { return c }, t.Errorf}
	c = insideWith(t, d)
	p := ran(t, c, "kept", `amlflow: v1
pipeline: p
stages:
  tune:
    run: 'metrics {"acc": $X} then $THEN'
    env: { X: "${{ trial.x }}", THEN: "${{ trial.x < 0.5 ? 'hang' : 'slow 20ms' }}" }
    metrics: { acc: number }
    sweep:
      space: { x: { uniform: [0, 1] }, y: { choice: [a, b] } }
      objective: { maximize: acc }
      algorithm: { kind: tpe, seed: 3, startup: 3 }
      stop: { kind: bandit, slack_amount: 0.1 }
      limits: { trials: 12, parallel: 3 }
`)
	s := p.Stage("tune")
	if s.Status != target.Succeeded || len(s.Items) != 12 || s.Count.Stopped == 0 || s.Count.Succeeded == 0 {
		t.Errorf("%s, %+v: %s", s.Status, s.Count, s.Error)
	}
}
