package targettest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// logging is training code that knows MLflow alone. It waits for a file in the middle.
const logging = `
import os, pathlib, time
import mlflow

mlflow.set_experiment("trial: one")
with mlflow.start_run(run_name="a name that is so long that YAML writes it on two lines, with a colon: and 'quotes' in it"):
    mlflow.log_params({"lr": 0.1, "opt/kind": "adam"})
    for i in range(3):
        mlflow.log_metric("loss", 1 / (i + 1), step=i)
    while not pathlib.Path(os.environ["GO"]).exists():
        time.sleep(0.02)
    mlflow.log_metrics({"loss": 0.25, "odd": float("nan")}, step=3)
    mlflow.set_tag("team", "vision")
    pathlib.Path("notes.txt").write_text("hello")
    mlflow.log_artifact("notes.txt", "docs")
    with mlflow.start_run(nested=True, run_name="inner"):
        mlflow.log_metric("loss", 9)
    with mlflow.start_run(nested=True) as gone:
        pass
mlflow.MlflowClient().delete_run(gone.info.run_id)
assert sorted(r.info.run_name for r in mlflow.search_runs(output_format="list"))[1] == "inner"
`

// Tracking asks whether code which logs with the real client of MLflow, unchanged, gets what
// it has logged to where it is wanted, also while it runs. python3 in PATH, or in the folder
// that AMLFLOW_TEST_MLFLOW names, has the client; else the test is skipped. The test and the
// jobs see the same files.
func Tracking(t *testing.T, h Harness) {
	dir := os.Getenv("AMLFLOW_TEST_MLFLOW")
	if dir == "" {
		python, _ := exec.LookPath("python3")
		dir = filepath.Dir(python)
	}
	if exec.Command(filepath.Join(dir, "python3"), "-c", "import mlflow.tracking").Run() != nil {
		t.Skip("SKIP: no python3 with the client of MLflow: install mlflow for it, or name one that has it in AMLFLOW_TEST_MLFLOW")
	}
	for name, alter := range map[string]func(string) string{
		"live":       func(command string) string { return command },
		"afterwards": func(command string) string { return "unset PYTHONPATH\n" + command }, // the client does not find what tells
	} {
		t.Run(name, func(t *testing.T) {
			in, out := &Blobs{}, &Blobs{}
			j := h.job("tracking-"+name, alter("exec "+word(filepath.Join(dir, "python3"))+" train.py"))
			j.Code = tree(t, in, map[string]string{"train.py": logging})
			j.Env = map[string]string{"GO": h.shared(t, "go-"+name)}
			h.submit(t, j, in)
			if name == "live" {
				h.reports(t, j.ID, 3)
			}
			if err := os.WriteFile(j.Env["GO"], nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if st := h.wait(t, j.ID); st.State != target.Succeeded {
				t.Fatalf("got %+v, log %q", st, h.log(t, j.ID))
			}
			res := h.collect(t, j.ID, out)
			if n := strings.Count(string(res.Metrics), `"loss":`); n != 4 || !strings.Contains(string(res.Metrics), `{"loss":0.25,"step":3,"mlflow":{"run":"`) {
				t.Errorf("%d losses in\n%s", n, res.Metrics)
			}
			logged(t, out, res.Tracked)
		})
	}
}

// reports waits until a job has reported so many lines.
func (h Harness) reports(t *testing.T, id string, lines int) {
	t.Helper()
	for end := time.Now().Add(2 * h.patience()); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text, _ := h.read(t, id, target.Stream{Name: target.Metrics}, 0); strings.Count(text, "\n") >= lines {
			return
		}
		if st := h.status(t, id); st.State.Ended() {
			break
		}
	}
	t.Fatalf("job %s did not report %d lines: %+v, log %q", id, lines, h.status(t, id), h.log(t, id))
}

// logged wants what the code above has logged.
func logged(t *testing.T, out *Blobs, ref target.Ref) {
	t.Helper()
	if ref == "" {
		t.Fatal("nothing was kept of what was logged")
	}
	all := files(t, out, ref)
	type run struct {
		ID, Name, Experiment, Status, Parent string
		Params, Tags                         map[string]string
		Metrics                              map[string]any
		Ended                                int64
	}
	var kept struct{ Runs []run }
	if err := json.Unmarshal([]byte(all["runs.json"]), &kept); err != nil {
		t.Fatalf("%v in %q", err, all["runs.json"])
	}
	i := slices.IndexFunc(kept.Runs, func(r run) bool { return r.Parent == "" })
	if len(kept.Runs) != 2 || i < 0 {
		t.Fatalf("got %+v", kept.Runs)
	}
	outer, inner := kept.Runs[i], kept.Runs[1-i]
	if outer.Experiment != "trial: one" || !strings.HasSuffix(outer.Name, "'quotes' in it") || outer.Status != "FINISHED" || outer.Ended == 0 || outer.Params["opt/kind"] != "adam" || outer.Tags["team"] != "vision" || outer.Metrics["loss"] != 0.25 || outer.Metrics["odd"] != "NaN" {
		t.Errorf("got %+v", outer)
	}
	if inner.Name != "inner" || inner.Parent != outer.ID || inner.Metrics["loss"] != 9.0 {
		t.Errorf("got %+v", inner)
	}
	if got := all[path.Join("runs", outer.ID, "docs", "notes.txt")]; got != "hello" {
		t.Errorf("of the artifact is left %q", got)
	}
}
