package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/workers/rigs"

	"github.com/google/go-cmp/cmp"
)

// realPlace is a real place of some kind that the digits are trained on.
type realPlace struct {
	name string
	rig  func(t *testing.T, dir string) (settings map[string]any, err error)
}

var realPlaces = []realPlace{
	{"managed", func(*testing.T, string) (map[string]any, error) {
		return map[string]any{"kind": "cluster", "nodes": map[string]any{"max": 1}}, nil
	}},
	{"ssh", onSSH},
	{"slurm", onSlurm},
	{"podman", func(t *testing.T, _ string) (map[string]any, error) { return inContainer(t, rigs.Podman) }},
	{"docker", func(t *testing.T, _ string) (map[string]any, error) { return inContainer(t, rigs.Docker) }},
}

func onSSH(t *testing.T, dir string) (map[string]any, error) {
	server, err := rigs.StartSSH(dir)
	if err != nil {
		return nil, err
	}
	t.Cleanup(server.End)
	settings := server.Settings()
	settings["kind"], settings["workdir"] = "ssh", filepath.Join(dir, "work")
	return settings, nil
}

func onSlurm(t *testing.T, dir string) (map[string]any, error) {
	slurm, err := rigs.StartSlurm(dir, rigs.SlurmOptions{Nodes: 1})
	if err != nil {
		return nil, err
	}
	t.Cleanup(slurm.End)
	shared := filepath.Join(dir, "shared")
	return map[string]any{"kind": "slurm", "conf": slurm.Conf(), "shared_dir": shared}, os.Mkdir(shared, 0o755)
}

func inContainer(t *testing.T, start func() (*rigs.Engine, error)) (map[string]any, error) {
	engine, err := start()
	if err != nil {
		return nil, err
	}
	t.Cleanup(engine.End)
	const image = "localhost/amlflow-python:1"
	return map[string]any{"kind": "docker", "host": engine.Host, "image": image, "pull": "never", "network": "none"}, engine.Import(image, rigs.Python)
}

// trained is what is compared of a run.
type trained struct {
	Status string
	Stages map[string]struct {
		Status, Target string
		Outputs        map[string]any
	}
	Outputs map[string]any
}

// everywhere is a folder to work in and the state folder of the program, for tests that
// move a pipeline from one place to the next.
func everywhere(t *testing.T) (work, home string) {
	t.Helper()
	if !cluster.Available {
		t.Skip("the slim build runs nothing by itself: run without -tags slim")
	}
	if rigs.Program("python3") == "" {
		t.Skip("SKIP: python3 is not installed: apt-get install python3")
	}
	work = t.TempDir()
	home = filepath.Join(work, "state")
	t.Cleanup(func() { leaveNothing(t, home) })
	return work, home
}

// The digits are trained on every kind of target by naming another one, and nothing else
// is changed. What comes out is the same everywhere, to the byte.
func TestDigitsEverywhere(t *testing.T) {
	work, home := everywhere(t)
	want := trainOn(t, work, home, "local", map[string]any{"kind": "local"})
	if want.Status != "succeeded" || want.Stages["train"].Outputs["model"] == nil {
		t.Fatalf("here it ended with %+v", want)
	}
	for _, p := range realPlaces {
		t.Run(p.name, func(t *testing.T) {
			settings, err := p.rig(t, t.TempDir())
			if errors.Is(err, rigs.ErrMissing) {
				t.Skipf("SKIP: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := trainOn(t, work, home, p.name, settings)
			if was := got.Stages["train"]; was.Target != p.name {
				t.Errorf("it was trained on %q", was.Target)
			} else {
				was.Target = want.Stages["train"].Target
				got.Stages["train"] = was
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("here (-) and there (+) something else came out:\n%s", diff)
			}
		})
	}
}

// trainOn runs the example with one more target in its workspace, where its models are
// trained.
func trainOn(t *testing.T, work, home, name string, settings map[string]any) trained {
	t.Helper()
	dir := filepath.Join(work, "on-"+name)
	if err := os.CopyFS(dir, os.DirFS("../../specs/examples/digits")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "amlflow.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if name != "local" { // which is there
		with := fmt.Sprintf("targets:\n  %s: %s\n", name, line)
		text = []byte(strings.Replace(string(text), "targets:\n", with, 1))
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// It is to stop before the endpoint: that is served here whatever the target is.
	c := exec.Command("amlflow", "run", "digits.pipeline.yaml", "--target", "train="+name, "-p", "rows=200", "-p", "min_accuracy=1", "-o", "json")
	c.Dir = dir
	// The same Python everywhere: other places do not see the one of a developer.
	c.Env = append(os.Environ(), "AMLFLOW_HOME="+home, "AMLFLOW_IDLE=30s", "HOME="+work, "PATH=/usr/bin:"+os.Getenv("PATH"))
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	failed := c.Run()
	var e trained
	if err := json.Unmarshal(out.Bytes(), &e); err != nil || failed != nil {
		t.Fatalf("%s: %v, %v\n%s%s", name, failed, err, out.String(), said.String())
	}
	return e
}
