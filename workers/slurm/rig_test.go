package slurm

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
)

// rig is a real Slurm on this computer.
type rig struct {
	*rigs.Slurm
	dir string
}

// startSlurm starts a Slurm that ends with the test, or skips the test.
func startSlurm(t testing.TB, o rigs.SlurmOptions) *rig {
	t.Helper()
	dir := t.TempDir()
	s, err := rigs.StartSlurm(dir, o)
	if errors.Is(err, rigs.ErrMissing) {
		t.Skip("SKIP: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.End)
	return &rig{s, dir}
}

// awaits waits until something is so.
func (r *rig) awaits(t testing.TB, what string, so func() bool) {
	t.Helper()
	if !rigs.Awaits(so) {
		t.Fatalf("there were no %s: %s\n%s", what, r.Ask("squeue", "--states=all"), r.Log())
	}
}

// target is a target on the cluster; more are settings beside those that find it.
func (r *rig) target(t testing.TB, dir string, more map[string]any) target.Target {
	t.Helper()
	s := map[string]any{"shared_dir": dir, "conf": r.Conf(), "nodes": 2}
	for name, value := range more {
		s[name] = value
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return target.Target{Name: "hpc", Kind: "slurm", Settings: text}
}
