package flow_test

import (
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Runs that older versions have begun must go on under this one. Each history
// was recorded from a real run and is never recorded again: when this test
// fails, the workflow code needs workflow.GetVersion, not a new history.
func TestStoredHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no stored histories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := worker.NewWorkflowReplayer()
			r.RegisterWorkflowWithOptions(flow.Run, workflow.RegisterOptions{Name: flow.Workflow})
			if err := r.ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
				t.Error(err)
			}
		})
	}
}
