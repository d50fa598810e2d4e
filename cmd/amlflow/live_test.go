package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/tune"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// drawn is what a screen shows, without colours.
func drawn(m *screen) string { return colours.ReplaceAllString(m.View().Content, "") }

// A sweep, a fan-out, a batch, a nested pipeline and metrics, while they run.
func TestScreenOfStagesWithParts(t *testing.T) {
	now := time.Now()
	value := func(x float64) *float64 { return &x }
	trial := func(n int, st target.State, v float64, steps float64, label string) flow.StageProgress {
		q := flow.StageProgress{Name: fmt.Sprintf("tune[%d]", n), Label: label, Status: st, Started: now, Ended: now.Add(3 * time.Second), Trial: &flow.Trial{Number: n, Steps: steps}}
		if steps > 0 {
			q.Trial.Value = value(v)
		}
		return q
	}
	item := func(n int, st target.State) flow.StageProgress {
		return flow.StageProgress{Name: fmt.Sprintf("shards[%d]", n), Label: fmt.Sprint("item=", n), Status: st, Target: "gpu", Job: "j", Started: now, Ended: now.Add(time.Second)}
	}
	end := now.Add(65 * time.Second)
	r := &flow.Progress{Pipeline: "p", Started: now, Ended: end, Stages: []flow.StageProgress{
		{
			Name: "tune", Status: target.Running, Started: now, Ended: end, Count: &flow.Count{Total: 6, Succeeded: 1, Stopped: 2, Failed: 1},
			Sweep: &flow.SweepProgress{Objective: tune.Goal{Metric: "accuracy", Maximize: true}, Trials: 16, Best: "tune[1]"},
			Items: []flow.StageProgress{
				trial(0, flow.Halted, 0.5, 1, "lr=3"), trial(1, target.Succeeded, 0.9312, 27, "lr=0.1, batch=32"), trial(2, flow.Halted, 0.7, 3, "lr=1"), trial(3, target.Failed, 0, 0, "lr=9"),
				trial(4, target.Running, 0.88, 9, "lr=0.2, batch=8"), trial(5, target.Running, 0, 0, "lr=0.05, batch=8"),
			},
		},
		{
			Name: "shards", Status: target.Running, Target: "gpu", Started: now, Ended: end, Count: &flow.Count{Total: 40, Succeeded: 29, Failed: 1},
			Items: []flow.StageProgress{item(7, target.Failed), item(30, target.Running), item(31, target.Running)},
		},
		{Name: "score", Status: target.Running, Target: "local", Job: "s", Unit: "files", Attempts: 1, Started: now, Ended: end},
		{Name: "train", Status: target.Running, Target: "local", Job: "t", Attempts: 1, Started: now, Ended: end},
		{Name: "inside", Status: target.Running, Started: now, Ended: end, Nested: &flow.Progress{Stages: []flow.StageProgress{
			{Name: "a", Status: target.Succeeded}, {Name: "b", Status: target.Running, Started: now, Ended: now.Add(2 * time.Second)},
		}}},
		{Name: "report", Status: target.Waiting},
	}}
	scored := map[string]float64{"items": 1200, "scored": 590, "failed": 10}
	m := &screen{id: "abcd", wide: 100, high: 40, now: looked{
		run: r, numbers: map[string]string{"train": "loss 0.031", "shards[30]": "rows 512", "score": saidOf(&r.Stages[2], scored)},
		values: map[string]map[string]float64{"score": scored}, words: map[string]string{"train": "epoch 7"},
	}}
	want := `run abcd  p  1m05s  
⠋ tune    running  1m05s  ████░░░░░░░░░░░░  4 of 16 trials, 2 stopped, 1 failed, 2 running
          │ ★ tune[1]  accuracy 0.9312  (27 steps)  lr=0.1, batch=32
          │ ⠋ tune[4]  3.0s  accuracy 0.88  (9 steps)  lr=0.2, batch=8
          │ ⠋ tune[5]  3.0s  lr=0.05, batch=8
⠋ shards  running  on gpu  1m05s  ████████████░░░░  30 of 40, 1 failed, 2 running
          │ ⠋ shards[30]  1.0s  rows 512  item=30
          │ ⠋ shards[31]  1.0s  item=31
⠋ score   running  on local  1m05s  ████████░░░░░░░░  600 of 1,200 files, 10 failed
⠋ train   running  on local  1m05s  loss 0.031
          │ epoch 7
⠋ inside  running  1m05s
          │ ⠋ b  2.0s
· report  waiting
`
	if d := cmp.Diff(want, drawn(m)); d != "" {
		t.Error(d)
	}

	// On a small screen the stages come first; when it is over, only they are left.
	m.high, m.wide = 8, 60
	rows := strings.Split(strings.TrimSuffix(drawn(m), "\n"), "\n")
	if !strings.Contains(drawn(m), "report") {
		t.Errorf("a stage is missing:\n%s", drawn(m))
	}
	for _, row := range rows {
		if n := len([]rune(row)); n > 60 {
			t.Errorf("%d characters: %s", n, row)
		}
	}
	m.closed = true
	if n := strings.Count(drawn(m), "│"); n > 0 {
		t.Errorf("%d details are left:\n%s", n, drawn(m))
	}
}

// Hundreds of stages with parts do not push each other off the screen.
func TestDetailsFit(t *testing.T) {
	r := &flow.Progress{}
	for i := range 30 {
		s := flow.StageProgress{Name: fmt.Sprint("s", i), Status: target.Running, Count: &flow.Count{Total: 100}}
		for k := range 100 {
			s.Items = append(s.Items, flow.StageProgress{Name: fmt.Sprintf("s%d[%d]", i, k), Status: target.Running})
		}
		r.Stages = append(r.Stages, s)
	}
	m := &screen{high: 40, wide: 80, now: looked{run: r}}
	if n := strings.Count(drawn(m), "\n"); n > 40 {
		t.Errorf("%d lines on a screen of 40", n)
	}
}
