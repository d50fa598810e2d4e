package expr_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema/expr"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), run with -update when it is right:\n%s", file, diff)
	}
}

func kind(k expr.Kind) expr.Type { return expr.Type{Kind: k} }

func fields(m map[string]expr.Type) expr.Type { return expr.Type{Kind: expr.Object, Fields: m} }

func later(k expr.Kind) expr.Type { return expr.Type{Kind: k, Moment: expr.RunTime} }

// scope is that of a small pipeline.
func scope() expr.Scope {
	sizes := kind(expr.Int)
	stage := func(metrics, outputs map[string]expr.Type) expr.Type {
		return fields(map[string]expr.Type{"metrics": fields(metrics), "outputs": fields(outputs), "status": later(expr.Text)})
	}
	return expr.Scope{
		Functions: []string{"always", "failed"},
		Names: map[string]expr.Type{
			"params": fields(map[string]expr.Type{
				"rows": kind(expr.Int), "nodes": kind(expr.Int), "min_accuracy": kind(expr.Number), "name": kind(expr.Text),
				"debug": kind(expr.Bool), "sizes": {Kind: expr.List, Elem: &sizes}, "extra": kind(expr.Any),
			}),
			"run": fields(map[string]expr.Type{"id": kind(expr.Text), "pipeline": kind(expr.Text)}),
			"stages": fields(map[string]expr.Type{
				"train": stage(map[string]expr.Type{"accuracy": later(expr.Number)}, map[string]expr.Type{"model": later(expr.Folder)}),
				"fit-a": stage(map[string]expr.Type{}, map[string]expr.Type{"note": later(expr.Text)}),
			}),
		},
	}
}

// values are those of a run of that pipeline in which the stage fit-a was skipped.
func values() map[string]any {
	return map[string]any{
		"failed()": false,
		"params":   map[string]any{"rows": 500, "nodes": 2.0, "min_accuracy": 0.85, "name": "digits", "debug": true, "sizes": []any{2, 4, 8}, "none": nil},
		"run":      map[string]any{"id": "r1", "pipeline": "digits"},
		"stages": map[string]any{
			"train": map[string]any{"status": "succeeded", "metrics": map[string]any{"accuracy": 0.93}, "outputs": map[string]any{"model": "sha256:ab"}},
			"fit-a": map[string]any{"status": "skipped"},
		},
		"m": map[string]any{"c": 3, "a": 1, "b": 2, "d": 4},
	}
}
