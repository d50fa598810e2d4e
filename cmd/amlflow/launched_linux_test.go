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

// A training by four processes on two nodes moves from here to Slurm, and to clusters whose
// nodes are of this computer or of Slurm, by naming another target. The same comes out.
func TestLaunchedEverywhere(t *testing.T) {
	work, home := everywhere(t)
	targets := map[string]any{
		"local":   map[string]any{"kind": "local", "nodes": 2},
		"managed": map[string]any{"kind": "cluster", "nodes": map[string]any{"max": 2}},
	}
	places := []string{"managed"}
	slurm, err := rigs.StartSlurm(t.TempDir(), rigs.SlurmOptions{Nodes: 2, CPUs: 4})
	switch {
	case errors.Is(err, rigs.ErrMissing):
		t.Logf("SKIP: without Slurm: %v", err)
	case err != nil:
		t.Fatal(err)
	default:
		t.Cleanup(slurm.End)
		places = append(places, "hpc", "lent")
		targets["hpc"] = map[string]any{"kind": "slurm", "conf": slurm.Conf(), "shared_dir": t.TempDir()}
		targets["lent"] = map[string]any{
			"kind": "cluster", "nodes": map[string]any{"max": 2, "idle": "1s"}, "node": map[string]any{"cpus": 4},
			"provider": map[string]any{"kind": "slurm", "conf": slurm.Conf(), "shared_dir": t.TempDir()},
		}
	}
	dir := filepath.Join(work, "launch")
	if err := os.CopyFS(dir, os.DirFS("../../specs/examples/launch")); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"amlflow": "v1", "workspace": "launch", "targets": targets})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "amlflow.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	fit := func(name string) map[string]any {
		t.Helper()
		c := exec.Command("amlflow", "run", "line.pipeline.yaml", "--target", "fit="+name, "-p", "nodes=2", "--no-cache", "-o", "json")
		c.Dir, c.Env = dir, append(os.Environ(), "AMLFLOW_HOME="+home, "AMLFLOW_IDLE=30s")
		var out, said bytes.Buffer
		c.Stdout, c.Stderr = &out, &said
		failed := c.Run()
		var e struct{ Outputs map[string]any }
		if err := json.Unmarshal(out.Bytes(), &e); err != nil || failed != nil {
			t.Fatalf("%s: %v, %v\n%s%s", name, failed, err, out.String(), said.String())
		}
		return e.Outputs
	}
	want := fit("local")
	if want["processes"] != 4.0 {
		t.Fatalf("here it ended with %v", want)
	}
	for _, name := range places {
		if diff := cmp.Diff(want, fit(name)); diff != "" {
			t.Errorf("here (-) and on %q (+) something else came out:\n%s", name, diff)
		}
	}
}
