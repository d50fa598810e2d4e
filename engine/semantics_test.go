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
	"sync/atomic"
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
	"go.temporal.io/sdk/worker"
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
			got := becomes(t, files, flow.Workflow, false)
			if spot := becomes(t, files, flow.Workflow, true); spot != got {
				t.Errorf("runs that are begun on the spot go otherwise: -in stretches +on the spot:\n%s", cmp.Diff(got, spot))
			}
			if first := becomes(t, files, flow.FirstWorkflow, false); first != got {
				t.Errorf("runs of before stretches go otherwise: -before +now:\n%s", cmp.Diff(first, got))
			}
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

// becomes tells what becomes of a run. On the spot, it is begun as a part of looking at
// its workflow.
func becomes(t *testing.T, files map[string]string, workflow string, spot bool) string {
	t.Helper()
	refusals = nil
	driver := dummy.New()
	drivers := map[string]target.Driver{"local": driver}
	var ts testsuite.WorkflowTestSuite
	env := ts.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Hour}) // a machine may be busy
	engine.RegisterWorkflows(env)
	engine.Timed(drivers, t.TempDir(), newClock(env))(env)
	p0 := compiled(t, files, drivers)
	alone(p0)
	for line := range strings.Lines(files["options"]) {
		schedule(t, env, strings.Fields(line), p0)
	}
	in := flow.Input{Run: "r", Plan: *p0, Store: t.TempDir(), Control: "control"}
	if spot {
		in.Stages = len(p0.Stages)
	}
	env.ExecuteWorkflow(workflow, in)
	var end json.RawMessage
	err := env.GetWorkflowResult(&end)
	p, err := engine.RecordIn(t.Context(), workflow, end, err)
	if p == nil {
		t.Fatal(err)
	}
	text := told(p) + environments(driver) + traffic(t, driver)
	for _, r := range refusals {
		text += "told: " + r + "\n"
	}
	return text
}

// alone has a plan's deployments take no turns: there are no other runs.
func alone(p *plan.Plan) {
	for _, s := range p.Stages {
		if s.Deploy != nil {
			s.Deploy.Group = nil
		}
		if s.Nested != nil {
			alone(s.Nested.Plan)
		}
	}
}

// clock is that of a test's environment, which skips time when there is nothing to do, and
// stands still while an activity waits: then what was waited for has come.
type clock struct {
	env  *testsuite.TestWorkflowEnvironment
	came *atomic.Int64 // the latest time that somebody waited for, in Unix nanoseconds
}

func newClock(env *testsuite.TestWorkflowEnvironment) clock { return clock{env, &atomic.Int64{}} }

func (c clock) Now() time.Time {
	now, came := c.env.Now(), time.Unix(0, c.came.Load())
	if came.After(now) {
		return came.In(now.Location())
	}
	return now
}

func (c clock) At(t time.Time) <-chan time.Time {
	there := make(chan time.Time, 1)
	time.AfterFunc(t.Sub(c.Now()), func() {
		for was := c.came.Load(); t.UnixNano() > was && !c.came.CompareAndSwap(was, t.UnixNano()); was = c.came.Load() {
		}
		there <- t
	})
	return there
}

// schedule has a person do something at a time of the run.
func schedule(t *testing.T, env *testsuite.TestWorkflowEnvironment, words []string, p *plan.Plan) {
	t.Helper()
	at, err := time.ParseDuration(words[1])
	if err != nil {
		t.Fatal(err)
	}
	env.RegisterDelayedCallback(func() {
		switch words[0] {
		case "cancel":
			env.SignalWorkflow(flow.SignalCancel, nil)
			env.CancelWorkflow()
		case "approve", "reject":
			d := flow.Decision{Stage: words[2], By: words[3], Comment: strings.Join(words[4:], " "), Approve: words[0] == "approve", Plan: p.Digest}
			env.UpdateWorkflow(flow.UpdateDecide, fmt.Sprint(words), answers{t, words}, d)
		default:
			t.Fatalf("unknown option %q", words)
		}
	}, at)
}

// answers shows what a person is told.
type answers struct {
	t     *testing.T
	words []string
}

func (a answers) Accept() {}
func (a answers) Reject(err error) {
	a.t.Logf("%v: %v", a.words, err)
	refusals = append(refusals, err.Error())
}
func (a answers) Complete(any, error) {}

// refusals are what people were told in the case under way.
var refusals []string

// beside finds templates and pipelines among the files of a case.
type beside map[string]string

func (b beside) Import(kind, ref string, from schema.Import) (string, []byte, schema.Import, *diag.Finding) {
	name := strings.TrimPrefix(ref, "./")
	text, ok := b[name]
	if !ok {
		return "", nil, schema.Import{}, &diag.Finding{Code: "missing-file", Message: "there is no " + ref}
	}
	return name, []byte(text), schema.Import{Key: name}, nil
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
	if !fs.Bad() {
		fs = append(fs, p.Link(beside(files))...)
		fs = append(fs, schema.Check(p, w, nil)...)
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
	tellStages(&b, p.Stages, "")
	if p.Error != "" {
		fmt.Fprintln(&b, "error:", p.Error)
	}
	return b.String() + strings.TrimPrefix(fields("outputs", p.Outputs)+"\n", "\n  ")
}

func tellStages(b *strings.Builder, stages []flow.StageProgress, indent string) {
	for _, s := range stages {
		var one strings.Builder
		tell(&one, s)
		for line := range strings.Lines(one.String()) {
			b.WriteString(indent + line)
		}
		tellStages(b, s.Items, indent+"  ")
		if s.Nested != nil {
			tellStages(b, s.Nested.Stages, indent+"  ")
		}
	}
}

func tell(b *strings.Builder, s flow.StageProgress) {
	fmt.Fprintf(b, "%s: %s", s.Name+s.Label, s.Status)
	if s.Attempts > 0 {
		fmt.Fprintf(b, ", attempts %d", s.Attempts)
		if s.Target != "" {
			fmt.Fprintf(b, ", on %s", s.Target)
		}
	}
	if s.Exit != nil {
		fmt.Fprintf(b, ", exit %d", *s.Exit)
	}
	for _, x := range []struct{ name, text string }{{"cause", string(s.Cause)}, {"error", s.Error}, {"why", s.Why}, {"because", s.Because}, {"fresh", s.Fresh}, {"tail", strings.Join(s.Tail, "|")}} {
		if x.text != "" {
			fmt.Fprintf(b, "\n  %s: %s", x.name, x.text)
		}
	}
	for _, x := range s.Notes {
		fmt.Fprintf(b, "\n  note: %s", x)
	}
	if s.Status != target.Succeeded && s.Status != flow.Skipped {
		fmt.Fprintf(b, "\n  at: %s", s.At)
	}
	if s.Count != nil {
		fmt.Fprintf(b, "\n  count: %+v", *s.Count)
	}
	if s.Reused != nil {
		fmt.Fprintf(b, "\n  reused: %s", s.Reused.Job)
	}
	fmt.Fprintln(b, fields("outputs", s.Outputs)+fields("metrics", s.Metrics)+fields("lists", s.Lists))
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
	jobs := d.Jobs()
	slices.SortStableFunc(jobs, func(a, b target.Job) int { return strings.Compare(a.ID, b.ID) })
	for _, j := range jobs {
		for _, k := range slices.Sorted(maps.Keys(j.Env)) {
			fmt.Fprintf(&b, "%s saw %s=%s\n", j.ID, k, j.Env[k])
		}
		if len(j.Command) > 0 {
			fmt.Fprintf(&b, "%s ran %q\n", j.ID, j.Command)
		}
	}
	return b.String()
}
