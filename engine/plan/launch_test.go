package plan_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"
)

// A target that does not launch is refused before anything runs; what every target does
// anyway needs no launch.
func TestATargetThatLaunchesNothingIsRefused(t *testing.T) {
	for launch, refused := range map[string]bool{"torchrun": true, "{ kind: env, processes_per_node: 2 }": true, "env": false, "{ kind: env, processes_per_node: 1 }": false} {
		p, fs := schema.ReadPipeline("p.pipeline.yaml", []byte("amlflow: v1\npipeline: p\nstages:\n  a: { run: ok, target: far, launch: "+launch+" }\n"))
		w, more := schema.ReadWorkspace("amlflow.yaml", []byte("amlflow: v1\nworkspace: w\ntargets: { far: { kind: dummy } }\n"))
		if fs = append(fs, more...); fs.Bad() {
			t.Fatal(fs)
		}
		_, fs = plan.Compile(p, w, plan.Options{Drivers: map[string]target.Driver{"dummy": dummy.New()}})
		if refused != fs.Bad() || refused && !strings.Contains(fs[0].Error(), `stage "a" launches several processes, which target "far" of kind "dummy" cannot give`) {
			t.Errorf("launch: %s: %v", launch, fs)
		}
	}
}
