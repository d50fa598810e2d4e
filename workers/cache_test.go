package workers_test

import (
	"maps"
	"testing"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/target"
)

// A result that was made of other values must never be taken for this one's: each
// variable counts by itself, also where people call several by one name.
func TestEachValueDecidesWhatIsReused(t *testing.T) {
	env := map[string]string{
		"AMLFLOW_EXPR_1": "line", "AMLFLOW_EXPR_2": "1", "AMLFLOW_EXPR_3": "1", "AMLFLOW_INPUT_ROWS": "1", "AMLFLOW_INPUT_A_B": "1", "MODE": "1",
	}
	job := func(env map[string]string, input target.Ref) map[string]string {
		return workers.Submission{Job: target.Job{Env: env, Inputs: []target.Artifact{{Name: "a_b", Ref: input}}}}.Parts()
	}
	was := job(env, "folder:1")
	if !maps.Equal(was, job(maps.Clone(env), "folder:1")) {
		t.Error("the same job is another")
	}
	if maps.Equal(was, job(env, "folder:2")) {
		t.Error("an input of the same name as a value does not count")
	}
	for name := range env {
		other := maps.Clone(env)
		other[name] = "2"
		if maps.Equal(was, job(other, "folder:1")) {
			t.Errorf("%s does not count", name)
		}
		delete(other, name)
		if maps.Equal(was, job(other, "folder:1")) {
			t.Errorf("it does not count that %s is missing", name)
		}
	}
	swapped := maps.Clone(env)
	swapped["AMLFLOW_EXPR_1"], swapped["AMLFLOW_EXPR_2"] = env["AMLFLOW_EXPR_2"], env["AMLFLOW_EXPR_1"]
	if maps.Equal(was, job(swapped, "folder:1")) {
		t.Error("values may change places")
	}
}
