package pyenv

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// The scripts of the example run in the environment that its pipeline asks for.
func TestTheExampleRunsInItsEnvironment(t *testing.T) {
	const example = "../../specs/examples/sklearn"
	host := realHost(t)
	if exec.Command("python3", "-c", "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))").Run() != nil {
		t.Skip("SKIP: the example pins packages for Python 3.10 to 3.13, and python3 is another: apt-get install -y python3.11 python3.11-venv")
	}
	needIndex(t)
	pipeline, err := os.ReadFile(filepath.Join(example, "sklearn.pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`packages: \[(.*)\]`).FindSubmatch(pipeline)
	if list == nil {
		t.Fatal("the example lists no packages")
	}
	host["HOME"] = os.Getenv("HOME") // pip keeps there what it fetched before
	venv, err := Folder(filepath.Join(t.TempDir(), "envs")).Make(t.Context(), target.Python{Packages: strings.Split(string(list[1]), ", ")}, host)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	env := map[string]string{"PATH": host["PATH"], "AMLFLOW_METRICS": at("metrics"), "AMLFLOW_OUTPUTS": at("outputs")}
	Activate(env, venv)
	for _, args := range [][]string{
		{"prepare.py", "--seed", "1", "--out", at("data")},
		{"train.py", "--data", at("data"), "--c", "0.1", "--model", at("model")},
		{"report.py", "--data", at("data"), "--model", at("model"), "--out", at("report")},
	} {
		c := exec.Command(filepath.Join(venv, "bin", "python3"), append([]string{"-B"}, args...)...)
		c.Dir = example
		for name, value := range env {
			c.Env = append(c.Env, name+"="+value)
		}
		if said, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args[0], err, said)
		}
	}
	var last struct{ Accuracy float64 }
	var values map[string]any
	metrics, _ := os.ReadFile(at("metrics"))
	lines := bytes.Split(bytes.TrimSpace(metrics), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || len(lines) != 2 || last.Accuracy < 0.93 {
		t.Errorf("got metrics %s, %v", metrics, err)
	}
	outputs, _ := os.ReadFile(at("outputs"))
	if err := json.Unmarshal(outputs, &values); err != nil || len(values) != 1 {
		t.Errorf("got outputs %s, %v", outputs, err)
	}
	if report, err := os.ReadFile(at("report")); err != nil || !strings.Contains(string(report), "precision") {
		t.Errorf("got report %s, %v", report, err)
	}
	t.Logf("accuracy %.4f, outputs %s", last.Accuracy, outputs)
}
