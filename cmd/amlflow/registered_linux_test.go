package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"

	"github.com/google/go-cmp/cmp"
)

// registering is training code that knows MLflow alone. It registers its model as most people
// do, one more by the name of its run, and says which is the best.
const registering = `
import sys
import mlflow
from mlflow.tracking import MlflowClient

class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return ["yes" for _ in model_input]

place = sys.argv[1]
mlflow.set_experiment("places")
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.75)
    mlflow.pyfunc.log_model(name="model", python_model=Constant(), registered_model_name=place + " Model", pip_requirements=[])
    mlflow.log_text("the weights of " + place, "made/weights.txt")
client = MlflowClient()
client.create_registered_model(place + ".by-run")
v = client.create_model_version(place + ".by-run", f"runs:/{run.info.run_id}/made", run.info.run_id)
client.set_registered_model_alias(place + ".by-run", "champion", v.version)
assert mlflow.pyfunc.load_model(f"models:/{place} Model/1").predict(["a"]) == ["yes"]
for uri in "models:/never/1", "models:/never@champion", "models:/never/latest":
    try:
        mlflow.pyfunc.load_model(uri)
    except mlflow.MlflowException as e:
        assert place in ("local", "managed") or "AMLFLOW_INPUT_MODEL" in str(e), e
    else:
        raise SystemExit("found")
`

// What a job registers with the real client of MLflow is a model here, once, on each kind of
// target: those that answer the client, and those where it keeps what is logged in files.
func TestModelsRegisteredEverywhere(t *testing.T) {
	dir := withMLflow()
	if dir == "" {
		t.Skip("SKIP: no python3 with the client of MLflow: give it one by pip install mlflow scikit-learn, or name one that has them in AMLFLOW_TEST_MLFLOW")
	}
	work, home := everywhere(t)
	targets := map[string]any{}
	stages := map[string]any{}
	for _, p := range append([]realPlace{
		{"local", func(*testing.T, string) (map[string]any, error) { return map[string]any{"kind": "local"}, nil }},
		{"managed-ssh", func(t *testing.T, dir string) (map[string]any, error) {
			settings, err := onSSH(t, dir)
			if err != nil {
				return nil, err
			}
			settings["hosts"] = []any{settings["host"]}
			delete(settings, "host")
			return map[string]any{"kind": "cluster", "nodes": map[string]any{"max": 1}, "provider": settings}, nil
		}},
		{"managed-slurm", func(t *testing.T, dir string) (map[string]any, error) {
			settings, err := onSlurm(t, dir)
			return map[string]any{"kind": "cluster", "nodes": map[string]any{"max": 1, "idle": "1s"}, "provider": settings}, err
		}},
	}, realPlaces...) {
		if p.name == "docker" { // the same driver as podman
			continue
		}
		settings, err := p.rig(t, t.TempDir())
		if errors.Is(err, rigs.ErrMissing) {
			t.Logf("SKIP: without %s: %v", p.name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if settings["kind"] == "docker" {
			lend(t, settings, dir)
		}
		targets[p.name] = settings
		stages[p.name] = map[string]any{"target": p.name, "run": "exec " + filepath.Join(dir, "python3") + " train.py " + p.name}
	}
	for name, content := range map[string]any{
		"amlflow.yaml":         map[string]any{"amlflow": "v1", "workspace": "places", "targets": targets},
		"places.pipeline.yaml": map[string]any{"amlflow": "v1", "pipeline": "places", "stages": stages},
	} {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "train.py"), []byte(registering), 0o600); err != nil {
		t.Fatal(err)
	}
	amlflow := func(out any, args ...string) {
		t.Helper()
		c := exec.Command("amlflow", append(args, "-o", "json")...)
		c.Dir, c.Env = work, append(os.Environ(), "AMLFLOW_HOME="+home, "AMLFLOW_IDLE=30s")
		var text, said bytes.Buffer
		c.Stdout, c.Stderr = &text, &said
		failed := c.Run()
		if err := json.Unmarshal(text.Bytes(), out); err != nil || failed != nil {
			t.Fatalf("%v: %v, %v\n%s%s", args, failed, err, text.String(), said.String())
		}
	}
	var run struct {
		Stages map[string]struct {
			Models  map[string]string
			Metrics map[string]any
		}
	}
	amlflow(&run, "run", "places.pipeline.yaml")
	for name := range targets {
		want := map[string]string{name + " Model": name + "-model@1", name + ".by-run": name + ".by-run@1"}
		if diff := cmp.Diff(want, run.Stages[name].Models); diff != "" {
			t.Errorf("%s: these models were wanted (-), and these are there (+):\n%s", name, diff)
		}
		if got := run.Stages[name].Metrics["accuracy"]; got != 0.75 {
			t.Errorf("%s: the accuracy is %v", name, got)
		}
		to := filepath.Join(t.TempDir(), "model")
		amlflow(&struct{}{}, "model", "pull", name+".by-run@1", to)
		if text, _ := os.ReadFile(filepath.Join(to, "weights.txt")); string(text) != "the weights of "+name {
			t.Errorf("%s: the model holds %q", name, text)
		}
	}
}

// lend gives containers the Python of this machine, with all that it needs.
func lend(t *testing.T, settings map[string]any, dir string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "python3"))
	if err != nil {
		t.Fatal(err)
	}
	volumes := []string{}
	for _, tree := range []string{"/usr/lib", "/usr/local/lib", filepath.Dir(dir), filepath.Dir(filepath.Dir(real))} {
		if _, err := os.Stat(tree); err == nil {
			volumes = append(volumes, tree+":"+tree)
		}
	}
	settings["volumes"] = volumes
}
