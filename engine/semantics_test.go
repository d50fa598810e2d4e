package engine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what was found into the golden files")

// Each case is a pipeline whose stages say how they come out (see package
// dummy), and what becomes of its run. Each line "cancel 1s" of the options cancels
// the run at that time.
func TestWhatBecomesOfARun(t *testing.T) {
	cases, err := filepath.Glob("testdata/runs/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
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
			got := becomes(t, files)
			if *update {
				a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
				a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(files["want"], got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func becomes(t *testing.T, files map[string]string) string {
	t.Helper()
	driver := dummy.New()
	drivers := map[string]target.Driver{"local": driver}
	var ts testsuite.WorkflowTestSuite
	env := ts.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	engine.RegisterWorkflows(env)
	engine.RegisterActivities(env, drivers, t.TempDir())
	for line := range strings.Lines(files["options"]) {
		at, err := time.ParseDuration(strings.TrimPrefix(strings.TrimSpace(line), "cancel "))
		if err != nil {
			t.Fatal(err)
		}
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(flow.SignalCancel, nil); env.CancelWorkflow() }, at)
	}
	env.ExecuteWorkflow(flow.Workflow, flow.Input{Run: "r", Plan: *compiled(t, files, drivers), Store: t.TempDir(), Control: "control"})
	var p *flow.Progress
	err := env.GetWorkflowResult(&p)
	if err != nil {
		var ok bool
		if p, ok = flow.RecordOf(err); !ok {
			t.Fatal(err)
		}
	}
	return told(p) + environments(driver)
}

func compiled(t *testing.T, files map[string]string, drivers map[string]target.Driver) *plan.Plan {
	t.Helper()
	p, fs := schema.ReadPipeline("pipeline.yaml", []byte(files["pipeline.yaml"]))
	w := schema.DefaultWorkspace(".")
	if text, ok := files["amlflow.yaml"]; ok {
		var bad diag.Findings
		w, bad = schema.ReadWorkspace("amlflow.yaml", []byte(text))
		fs = append(fs, bad...)
	}
	if fs.Bad() {
		t.Fatal(fs)
	}
	out, fs := plan.Compile(p, w, plan.Options{Drivers: drivers})
	if out == nil {
		t.Fatal(fs)
	}
	return out
}

// told is a run as a few lines of text, without times.
func told(p *flow.Progress) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run: %s\n", p.Status)
	for _, s := range p.Stages {
		fmt.Fprintf(&b, "%s: %s", s.Name, s.Status)
		if s.Attempts > 0 {
			fmt.Fprintf(&b, ", attempts %d, on %s", s.Attempts, s.Target)
		}
		if s.Exit != nil {
			fmt.Fprintf(&b, ", exit %d", *s.Exit)
		}
		for _, x := range []struct{ name, text string }{{"cause", string(s.Cause)}, {"error", s.Error}, {"why", s.Why}, {"tail", strings.Join(s.Tail, "|")}} {
			if x.text != "" {
				fmt.Fprintf(&b, "\n  %s: %s", x.name, x.text)
			}
		}
		for _, x := range s.Notes {
			fmt.Fprintf(&b, "\n  note: %s", x)
		}
		if s.Status != target.Succeeded && s.Status != flow.Skipped {
			fmt.Fprintf(&b, "\n  at: %s", s.At)
		}
		fmt.Fprintln(&b, fields("outputs", s.Outputs)+fields("metrics", s.Metrics))
	}
	if p.Error != "" {
		fmt.Fprintln(&b, "error:", p.Error)
	}
	return b.String() + strings.TrimPrefix(fields("outputs", p.Outputs)+"\n", "\n  ")
}

func fields[V any](name string, m map[string]V) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v, _ := json.Marshal(m[k])
		fmt.Fprintf(&b, "\n  %s.%s: %s", name, k, v)
	}
	return b.String()
}

// environments shows what jobs were given by way of variables.
func environments(d *dummy.Driver) string {
	var b strings.Builder
	for _, j := range d.Jobs() {
		for _, k := range slices.Sorted(maps.Keys(j.Env)) {
			fmt.Fprintf(&b, "%s saw %s=%s\n", j.ID, k, j.Env[k])
		}
		if len(j.Command) > 0 {
			fmt.Fprintf(&b, "%s ran %q\n", j.ID, j.Command)
		}
	}
	return b.String()
}
