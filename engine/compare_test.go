package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	ref := func(digit string) string { return "tree:sha256:" + strings.Repeat(digit, 64) }
	a := &flow.StageProgress{
		Outputs: map[string]any{"model": ref("1"), "n": 3, "list": []any{1, "x"}, "only": true},
		Metrics: map[string]float64{"loss": 0.25, "far": 1, "large": 1e9},
		Lists:   map[string]any{"acc": []any{0.5, nil}},
	}
	b := &flow.StageProgress{
		Outputs: map[string]any{"model": ref("2"), "n": 3.0, "list": []any{1.0, "x"}},
		Metrics: map[string]float64{"loss": 0.25 + 5e-7, "far": 1.01, "large": 1e9 + 500},
		Lists:   map[string]any{"acc": []any{0.5000001, nil}},
	}
	var got []string
	for _, s := range engine.Compare([]*flow.StageProgress{a, b}, 1e-6) {
		got = append(got, fmt.Sprint(s.Result, " ", s.Name, " ", s.Equal))
	}
	want := []string{
		"value list true", "artifact model false", "value n true", "value only false",
		"metric acc true", "metric far false", "metric large true", "metric loss true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, s := range engine.Compare([]*flow.StageProgress{a, b}, 0) {
		if s.Name == "loss" && s.Equal || s.Name == "acc" && s.Equal {
			t.Errorf("without tolerance: %+v", s)
		}
	}
	for _, s := range engine.Compare([]*flow.StageProgress{a, a, b}, 1e-6) {
		if s.Name == "model" && s.Equal {
			t.Error("the third target is not looked at")
		}
	}
}
