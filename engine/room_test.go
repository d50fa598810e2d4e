package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
)

// Of a wide run no more stages are begun than there are jobs soon: each that is begun
// takes memory, and is to be undone when the run is cancelled.
func TestStagesBegunAtOnceAreBounded(t *testing.T) {
	const wide, most = 3000, 1100
	var text strings.Builder
	text.WriteString("amlflow: v1\npipeline: p\nstages:\n")
	for i := range wide {
		fmt.Fprintf(&text, "  s%d: { run: hang }\n", i)
	}
	drivers := map[string]target.Driver{"local": dummy.New()}
	var ts testsuite.WorkflowTestSuite
	env := ts.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Hour})
	engine.RegisterWorkflows(env)
	engine.Timed(drivers, t.TempDir(), newClock(env))(env)
	p := compiled(t, map[string]string{"pipeline.yaml": text.String()}, drivers)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(flow.SignalCancel, nil)
		env.CancelWorkflow()
	}, 2*time.Second)
	env.ExecuteWorkflow(flow.Workflow, flow.Input{Run: "r", Plan: *p, Store: t.TempDir(), Control: "control"})
	var end json.RawMessage
	err := env.GetWorkflowResult(&end)
	record, err := engine.RecordIn(t.Context(), flow.Workflow, end, err)
	if record == nil {
		t.Fatal(err)
	}
	begun := 0
	for _, s := range record.Stages {
		if !s.Started.IsZero() {
			begun++
		}
	}
	if begun == 0 || begun > most {
		t.Errorf("%d of %d stages were begun at once, want some and at most %d", begun, wide, most)
	}
}
