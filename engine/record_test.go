package engine_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"golang.org/x/tools/txtar"
)

var record = flag.String("record", "", "a new folder for the histories of the cases in testdata/runs")

// TestRecordHistories runs the cases on a real server and keeps their histories,
// for the replay test of package flow. Existing histories are never overwritten:
// they stand for runs that older versions have begun.
func TestRecordHistories(t *testing.T) {
	if *record == "" {
		t.Skip("records only when asked: go test ./engine -run TestRecordHistories -record DIR")
	}
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c, err := cluster.Dial(t.Context(), s.Address(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	drivers := map[string]target.Driver{"local": dummy.New()}
	w := worker.New(c, "q", worker.Options{})
	engine.RegisterWorkflows(w)
	engine.RegisterActivities(w, drivers, t.TempDir())
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	cases, _ := filepath.Glob("testdata/runs/*.txtar")
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		to := filepath.Join(*record, name+".json")
		if _, err := os.Stat(to); err == nil {
			t.Logf("%s exists", to)
			continue
		}
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, f := range a.Files {
			files[f.Name] = string(f.Data)
		}
		p := compiled(t, files, drivers)
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: name, TaskQueue: "q"}, flow.Workflow, flow.Input{Run: name, Plan: *p, Store: t.TempDir(), Control: "q"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(files["options"], "cancel") {
			time.Sleep(time.Second) // long enough to be in the middle: the recorded history shows where
			if err := c.CancelWorkflow(t.Context(), name, ""); err != nil {
				t.Fatal(err)
			}
		}
		_ = run.Get(t.Context(), nil) // many cases end failed
		keep(t, c, name, to)
	}
}

func keep(t *testing.T, c client.Client, id, to string) {
	t.Helper()
	var h history.History
	events := c.GetWorkflowHistory(context.Background(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
