package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// trial is what a sweep tells of one of its trials.
type trial struct {
	Status   string
	Attempts int
	Trial    struct {
		Number   int
		Settings map[string]float64
		Value    *float64
	}
}

// tuned is a stage with a sweep, as it is told.
type tuned struct {
	Status string
	Stages map[string]struct {
		Status string
		Sweep  struct{ Best string }
		Items  []trial
	}
}

// sweeping is a pipeline whose trials tell what they were given, in one line each.
const sweeping = `amlflow: v1
pipeline: p
stages:
  tune:
    run: |
      echo "$AMLFLOW_JOB $AMLFLOW_TRIAL $X" >>'%[1]s'
      mkdir -p "${AMLFLOW_CHECKPOINT:-.}"
      at="${AMLFLOW_CHECKPOINT:-.}/step"
      i=$(cat "$at" 2>/dev/null || echo 0)
      while [ $i -lt ${AMLFLOW_TRIAL_STEPS:-9} ]; do
        i=$((i+1))
        echo "{\"step\": $i, \"loss\": $X}" >>"$AMLFLOW_METRICS"
        echo $i >"$at.tmp"
        mv "$at.tmp" "$at"
        sleep 0.05
      done
      echo "$X" >"$AMLFLOW_OUTPUT_MODEL"
    env: { X: "${{ trial.x }}" }
    metrics: { loss: number }
    outputs: { model: file }
%[2]s
    sweep:
      space: { x: { uniform: [0, 1] } }
      objective: { minimize: loss }
      algorithm: { kind: tpe, startup: 4, seed: 3 }
      stop: { kind: asha, min: 1, factor: 3, max: 9 }
      limits: { trials: %[3]d, parallel: 4 }
  use:
    run: test "$(cat "$AMLFLOW_INPUT_MODEL")" = ${{ stages.tune.trial.x }}
    inputs: { model: "${{ stages.tune.outputs.model }}" }
`

// The worker is killed again and again while a sweep runs, and so may be a job. Each job
// starts once, with the settings that are on record for its trial; no trial is left out.
func TestSweepSurvivesKills(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, keys string }{{"stops", ""}, {"pauses", "    checkpoint: { path: kept }"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u, trials := newUser(t), 12
			if *all {
				trials = 40
			}
			told := filepath.Join(u.root, "told")
			u.write("p.pipeline.yaml", fmt.Sprintf(sweeping, told, c.keys, trials))
			run := parse[struct{ Run string }](u, u.does("run", "p.pipeline.yaml", "--detach", "-o", "json")).Run
			for kills := 0; ; kills++ {
				u.pause(time.Second)
				if parse[tuned](u, u.does("status", run, "-o", "json")).Status != "running" {
					t.Logf("%d kills", kills)
					break
				}
				u.killServer()
				u.does("server", "start")
			}
			u.sweepIsRight(told, run, trials)
		})
	}
}

// sweepIsRight holds what jobs told against what is on record.
func (u *user) sweepIsRight(told, run string, trials int) {
	u.Helper()
	r := parse[tuned](u, u.does("status", run, "-o", "json"))
	s := r.Stages["tune"]
	if r.Status != "succeeded" || s.Status != "succeeded" || r.Stages["use"].Status != "succeeded" || len(s.Items) != trials || s.Sweep.Best == "" {
		u.Fatalf("the run is %s, its sweep %s with %d trials, the best is %q:\n%s", r.Status, s.Status, len(s.Items), s.Sweep.Best, u.does("status", run))
	}
	text, err := os.ReadFile(told)
	u.must(err)
	started := map[string]bool{}
	jobs := make([]int, trials)
	for line := range strings.Lines(string(text)) {
		var job string
		var number int
		var x float64
		if _, err := fmt.Sscan(line, &job, &number, &x); err != nil {
			u.Fatalf("%v: %q", err, line)
		}
		if started[job] {
			u.Errorf("the job %s started twice", job)
		}
		started[job] = true
		jobs[number]++
		if is := s.Items[number].Trial.Settings["x"]; is != x {
			u.Errorf("trial %d was done with %v, and %v is on record", number, x, is)
		}
	}
	for i, q := range s.Items {
		if q.Status != "succeeded" && q.Status != "stopped" {
			u.Errorf("trial %d is %s", i, q.Status)
		}
		if q.Attempts != jobs[i] {
			u.Errorf("trial %d has %d attempts on record, and %d jobs started", i, q.Attempts, jobs[i])
		}
	}
	u.until("none of its jobs is alive", func() bool { return countJobs(u.processesOf("AMLFLOW_JOB="), run) == 0 })
}
