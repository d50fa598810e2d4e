package plan_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/ssh"
	"github.com/amlflow/amlflow/workers/target"
)

// A limit that nobody holds the stage to is told, at its place, and keeps nothing from running.
func TestLimitsThatNobodyHolds(t *testing.T) {
	p, fs := schema.ReadPipeline("p.yaml", []byte(`amlflow: v1
pipeline: p
stages:
  a: { target: free, run: "true", resources: { memory: 1Gi, cpus: 2 } }
  b: { target: held, run: "true", resources: { memory: 1Gi, cpus: 2 } }
  c: { target: free, run: "true" }
`))
	if fs.Bad() {
		t.Fatal(fs)
	}
	w, fs := schema.ReadWorkspace("amlflow.yaml", []byte("amlflow: v1\nworkspace: w\ntargets: { free: { kind: dummy }, held: { kind: ssh, host: h } }\n"))
	if fs.Bad() {
		t.Fatal(fs)
	}
	_, fs = plan.Compile(p, w, plan.Options{Drivers: map[string]target.Driver{"dummy": dummy.New(), "ssh": ssh.New()}})
	var got []string
	for _, f := range fs {
		if f.Severity != diag.Warning || f.Code != "limit-not-held" {
			t.Errorf("got %v", f)
		}
		got = append(got, f.Path)
	}
	if want := "/stages/a/resources/memory /stages/a/resources/cpus"; strings.Join(got, " ") != want || fs.Bad() {
		t.Errorf("got %q, want %q", got, want)
	}
}
