package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

// drawn is a plan that has one of everything that can be seen.
func drawn() *plan.Plan {
	on := func(names ...string) (ts []target.Target) {
		for _, n := range names {
			ts = append(ts, target.Target{Name: n, Kind: "local"})
		}
		return ts
	}
	return &plan.Plan{Pipeline: "digits", Stages: []plan.Stage{
		{Name: "prepare", Script: "x", Targets: on("local")},
		{Name: "end", Command: []plan.Value{{Known: "true"}}, Targets: on("local")},
		{Name: "train", Script: "x", Targets: on("training", "local"), Needs: []plan.Need{{Stage: "prepare", Data: true}, {Stage: "end"}}, Fan: &plan.Fan{Name: "matrix", Items: make([]plan.Item, 4)}},
		{Name: "gate", Approve: &plan.Approve{}, Needs: []plan.Need{{Stage: "train"}}},
		{Name: "score", Nested: &plan.Nested{Plan: &plan.Plan{Pipeline: "scoring"}}, Needs: []plan.Need{{Stage: "gate"}, {Stage: "train", Data: true}}, Fan: &plan.Fan{Name: "each", List: &plan.Value{Expr: "x"}}},
		{Name: "serve", Deploy: &plan.Deploy{Endpoint: "digits"}, Targets: on("web"), Needs: []plan.Need{{Stage: "train", Data: true}},
			If: &plan.Condition{Expr: "${{ stages.train.metrics.accuracy >= 0.9 && \"<a|b>\" != '`#`\\\\' && stages.train.outputs.name != \"quite long\" }}"}},
		{Name: "never", Script: "x", Targets: on("local"), If: &plan.Condition{}},
		{Name: "report", Finally: true, Script: "x", Targets: on("local"), Needs: []plan.Need{{Stage: "serve"}}, If: &plan.Condition{Known: true}},
		{Name: "tidy", Finally: true, Script: "x", Targets: on("local"), Needs: []plan.Need{{Stage: "report"}}},
	}}
}

func TestDraw(t *testing.T) {
	for _, form := range plan.Forms() {
		got, ok := plan.Draw(drawn(), form)
		if !ok {
			t.Fatal(form)
		}
		golden(t, filepath.Join("testdata", "graph", form+".golden"), got)
	}
	if _, ok := plan.Draw(drawn(), "png"); ok {
		t.Error("there is no form png")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got:\n%s", name, d)
	}
}

// Ten thousand stages in a row, and as many that one waits for.
func TestDrawManyStages(t *testing.T) {
	p := &plan.Plan{Pipeline: "wide"}
	var last plan.Stage
	for i := range 10_000 {
		s := plan.Stage{Name: fmt.Sprintf("s%d", i), Script: "x"}
		if i > 0 {
			s.Needs = []plan.Need{{Stage: fmt.Sprintf("s%d", i-1), Data: true}}
		}
		p.Stages = append(p.Stages, s)
		last.Needs = append(last.Needs, plan.Need{Stage: s.Name})
	}
	last.Name = "last"
	p.Stages = append(p.Stages, last)
	for _, form := range plan.Forms() {
		start := time.Now()
		got, _ := plan.Draw(p, form)
		t.Logf("%s: %v, %d KB", form, time.Since(start), len(got)>>10)
		if strings.Count(got, "\n") < 10_000 {
			t.Errorf("%s: only %d lines", form, strings.Count(got, "\n"))
		}
	}
	text, _ := plan.Draw(p, "text")
	for line := range strings.Lines(text) {
		if len(line) > 200 {
			t.Fatalf("a line has %d characters: %.300s", len(line), line)
		}
	}
	if !strings.Contains(text, "s7, and 9992 more") {
		t.Error(text[len(text)-300:])
	}
}
