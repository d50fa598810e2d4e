package engine_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"golang.org/x/tools/txtar"
)

// A worker that dies at any moment of a rollout moves no request twice and forgets
// nothing: each stretch is begun, killed somewhere or at its very end, and done again.
func TestRolloutsOutliveTheirWorkers(t *testing.T) {
	cases, err := filepath.Glob("testdata/runs/rollout_*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	const seed = 20
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range a.Files {
				files[f.Name] = string(f.Data)
			}
			for round := range uint64(3) {
				got := dying(t, files, rand.New(rand.NewPCG(seed, round)), round == 0)
				// Of what may have begun, nobody says that it has not.
				want := strings.Replace(files["want"], "after: cancelled\n  why: the run was cancelled before it began", "after: cancelled\n  why: it needs \"new\", which ended as cancelled", 1)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("seed %d, round %d: -want +got:\n%s", seed, round, d)
				}
			}
		})
	}
}

// dying carries out a run whose stretches are done twice; with late, the first of the
// two has done everything.
func dying(t *testing.T, files map[string]string, random *rand.Rand, late bool) string {
	t.Helper()
	driver := dummy.New()
	drivers := map[string]target.Driver{"local": driver}
	var ts testsuite.WorkflowTestSuite
	env := ts.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Hour}) // a machine may be busy
	engine.RegisterWorkflows(env)
	engine.Timed(drivers, t.TempDir(), newClock(env))(deaths{env, random, late})
	p := compiled(t, files, drivers)
	alone(p)
	for line := range strings.Lines(files["options"]) {
		schedule(t, env, strings.Fields(line), p)
	}
	env.ExecuteWorkflow(flow.Workflow, flow.Input{Run: "r", Plan: *p, Store: t.TempDir(), Control: "control"})
	var end json.RawMessage
	err := env.GetWorkflowResult(&end)
	got, err := engine.RecordIn(t.Context(), flow.Workflow, end, err)
	if got == nil {
		t.Fatal(err, env.GetWorkflowError())
	}
	return told(got) + environments(driver) + traffic(t, driver)
}

// deaths registers activities of which stretches die once.
type deaths struct {
	engine.Registry
	random *rand.Rand
	late   bool
}

func (d deaths) RegisterActivityWithOptions(a any, o activity.RegisterOptions) {
	real, isStretch := a.(func(context.Context, flow.StretchInput) (flow.Stretched, error))
	if !isStretch {
		d.Registry.RegisterActivityWithOptions(a, o)
		return
	}
	d.Registry.RegisterActivityWithOptions(func(ctx context.Context, in flow.StretchInput) (flow.Stretched, error) {
		first, kill := ctx, func() {}
		if !d.late {
			first, kill = context.WithTimeout(ctx, time.Duration(d.random.IntN(3000))*time.Microsecond)
		}
		_, _ = real(first, in)
		kill()
		in.Unsure = true
		return real(ctx, in)
	}, o)
}
