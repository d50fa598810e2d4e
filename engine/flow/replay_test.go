package flow_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/flow"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Runs that older versions have begun must go on under this one. Each history
// was recorded from a real run and is never recorded again: when this test
// fails, the workflow code needs workflow.GetVersion, not a new history.
func TestStoredHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*/*.json*")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no stored histories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/histories/"), func(t *testing.T) {
			r := worker.NewWorkflowReplayer()
			for name, w := range map[string]any{flow.Workflow: flow.Carry, flow.FirstWorkflow: flow.Run, flow.NestedWorkflow: flow.Run, flow.ItemsWorkflow: flow.Items, flow.GroupWorkflow: flow.Group, flow.ScheduledWorkflow: flow.Begin} {
				r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
			}
			h, err := client.HistoryFromJSON(stored(t, file), client.HistoryJSONOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// A run was recorded under the name of its file; children are named after it.
			name, _, _ := strings.Cut(filepath.Base(file), ".")
			o := worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: name}}
			if err := r.ReplayWorkflowHistoryWithOptions(nil, h, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// stored reads a history; large ones are kept small.
func stored(t *testing.T, file string) io.Reader {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return bytes.NewReader(text)
	}
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}
