package cluster

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func host() map[string]string {
	return map[string]string{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")}
}

func training(settings string) target.Target {
	return target.Target{Name: "training", Kind: "cluster", Settings: json.RawMessage(settings)}
}

func TestExam(t *testing.T) {
	for name, settings := range map[string]string{
		"to zero":    `{"nodes": {"min": 0, "max": 2}}`,
		"never idle": `{"nodes": {"max": 2, "idle": "0s"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			targettest.Run(t, func(t *testing.T) targettest.Harness {
				dir, skip := t.TempDir(), withoutVenv()
				if name == "never idle" {
					skip["ResizeConverges"] = "nodes that nobody needs leave at once"
				}
				return targettest.Harness{
					Driver: New(dir, nil), Target: training(settings), Host: host(), Shared: t.TempDir(), Folder: dir, Local: true, Skip: skip,
					Other: func(*testing.T) target.Driver { return New(dir, nil) },
				}
			})
		})
	}
}

// withoutVenv names the questions that need a python3 which makes environments.
func withoutVenv() map[string]string {
	if exec.Command("python3", "-c", "import venv, ensurepip").Run() == nil {
		return map[string]string{}
	}
	return map[string]string{"PythonEnvironmentsMatchCan": "no python3 that makes environments: apt-get install -y python3 python3-venv"}
}
