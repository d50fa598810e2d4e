package plan_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/docker"
	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
)

// What no job of a target is ever given is found before anything runs, all of it at once.
func TestWhatATargetNeverGives(t *testing.T) {
	p, fs := schema.ReadPipeline("p.yaml", []byte(`amlflow: v1
pipeline: p
stages:
  a: { target: small, run: "true", resources: { memory: 3Gi } }
  b: { target: small, run: "true", resources: { cpus: 3 } }
  c: { target: small, run: "true", resources: { gpus: 2, memory: 2Gi, cpus: 2 } }
  d: { target: farm, run: "true", resources: { gpus: 3 } }
  e: { target: box, run: "true", resources: { gpus: 3 } }
  f: { target: box, run: "true", resources: { memory: 3Gi } }
  g: { target: pair, run: "true", resources: { nodes: 2, gpus: 2 } }
  h: { target: pair, run: "true", resources: { nodes: 2, gpus: 1, memory: 64Gi } }
`))
	if fs.Bad() {
		t.Fatal(fs)
	}
	w, fs := schema.ReadWorkspace("amlflow.yaml", []byte(`amlflow: v1
workspace: w
targets:
  small: { kind: local, gpus: 1, memory: 2Gi, cpus: 2 }
  farm: { kind: ssh, hosts: [x, y], gpus: 2 }
  box: { kind: docker, gpus: 2, memory: 2Gi }
  pair: { kind: local, nodes: 2, gpus: [3, 5] }
`))
	if fs.Bad() {
		t.Fatal(fs)
	}
	_, fs = plan.Compile(p, w, plan.Options{Drivers: map[string]target.Driver{"local": local.Driver{}, "ssh": ssh.New(), "docker": docker.Driver{}}})
	var got []string
	for _, f := range fs {
		if f.Code != "limit-not-held" && (f.Code != "target-cannot" || f.Hint == "") {
			t.Errorf("got %v", f)
		}
		got = append(got, strings.TrimPrefix(f.Path, "/stages/"))
	}
	if want := "a/resources/memory b/resources/cpus c/resources/gpus d/resources/gpus e/resources/gpus f/resources/memory g/resources/gpus"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q: %v", got, want, fs)
	}
}

// A deployment in a container has no Python environment, which is found before its model is
// made. Jobs there have one.
func TestDeploymentsThatCannotBeEquipped(t *testing.T) {
	p, fs := schema.ReadPipeline("p.yaml", []byte(`amlflow: v1
pipeline: p
stages:
  fit:
    target: box
    run: "true"
    environment: { python: { packages: [numpy] } }
    outputs: { model: model }
  serve:
    target: box
    environment: { python: { packages: [numpy] } }
    deploy: { model: "${{ stages.fit.outputs.model }}", endpoint: e, run: "true" }
`))
	if fs.Bad() {
		t.Fatal(fs)
	}
	w, fs := schema.ReadWorkspace("amlflow.yaml", []byte("amlflow: v1\nworkspace: w\ntargets: { box: { kind: docker, image: i } }\n"))
	if fs.Bad() {
		t.Fatal(fs)
	}
	driver := docker.Driver{Dir: t.TempDir()}.Serving(gateway.Folder{Dir: t.TempDir()})
	_, fs = plan.Compile(p, w, plan.Options{Drivers: map[string]target.Driver{"docker": driver}})
	if len(fs) != 1 || fs[0].Path != "/stages/serve/environment/python" || fs[0].Code != "target-cannot" || !strings.Contains(fs[0].Hint, "image") {
		t.Errorf("got %v", fs)
	}
}
