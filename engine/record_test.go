package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
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
	engine.Activities(drivers, t.TempDir())(w)
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
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: name, TaskQueue: "q"}, flow.Workflow, flow.Input{Run: name, Plan: *p, Store: t.TempDir(), Control: "q", Stages: len(p.Stages)})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(files["options"]) {
			act(t, c, name, strings.Fields(line), p)
		}
		_ = run.Get(t.Context(), nil) // many cases end failed
		keep(t, c, name, to)
	}
	recordGroup(t, c, drivers)
}

// act has a person do something at a time of the run; the recorded history shows when.
func act(t *testing.T, c client.Client, run string, words []string, p *plan.Plan) {
	t.Helper()
	time.Sleep(time.Second)
	if words[0] == "cancel" {
		if err := errors.Join(c.SignalWorkflow(t.Context(), run, "", flow.SignalCancel, nil), c.CancelWorkflow(t.Context(), run, "")); err != nil {
			t.Fatal(err)
		}
		return
	}
	d := flow.Decision{Stage: words[2], By: words[3], Approve: words[0] == "approve", Plan: p.Digest}
	h, err := c.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{WorkflowID: run, UpdateName: flow.UpdateDecide, WaitForStage: client.WorkflowUpdateStageCompleted, Args: []any{d}})
	if err == nil {
		err = h.Get(t.Context(), nil)
	}
	t.Logf("%v: %v", words, err) // some are refused
}

// recordGroup keeps the history of a group that gives turns, and of a run that waits for
// them.
func recordGroup(t *testing.T, c client.Client, drivers map[string]target.Driver) {
	t.Helper()
	to := filepath.Join(*record, "group.json")
	if _, err := os.Stat(to); err == nil {
		t.Logf("%s exists", to)
		return
	}
	text := "amlflow: v1\npipeline: p\nconcurrency: two\nstages:\n  a: { concurrency: one, run: ok }\n"
	p := compiled(t, map[string]string{"pipeline.yaml": text}, drivers)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "group", TaskQueue: "q"}, flow.Workflow, flow.Input{Run: "group", Plan: *p, Store: t.TempDir(), Control: "q"})
	if err != nil {
		t.Fatal(err)
	}
	group := flow.GroupID("q", "two")
	if err := errors.Join(run.Get(t.Context(), nil), c.GetWorkflow(t.Context(), group, "").Get(t.Context(), nil)); err != nil { // it stays a little
		t.Fatal(err)
	}
	keep(t, c, "group", to)
	keep(t, c, group, filepath.Join(*record, "group_turns.json"))
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
	if len(text) > 100_000 { // histories are all alike, and shrink well
		var small bytes.Buffer
		z := gzip.NewWriter(&small)
		if _, err := z.Write(text); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		text, to = small.Bytes(), to+".gz"
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
