package schema

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// homes says which field of which type holds each property of the schemas. A key
// that is in one and not in the other fails here.
var homes = map[string]map[string]string{
	"Pipeline": {"amlflow": "", "pipeline": "Name", "description": "Description", "params": "Params", "defaults": "", "stages": "Stages", "finally": "Finally", "outputs": "Outputs",
		"concurrency": "Concurrency", "on": "Schedules"},
	"Schedule": {"name": "Name", "cron": "Cron", "every": "Every", "timezone": "Timezone", "overlap": "Overlap", "catch_up": "CatchUp", "jitter": "Jitter", "params": "Params", "profile": "Profile"},
	"Template": {"amlflow": "", "template": "Name", "description": "Description", "params": "Params", "stage": "Stage"},
	"Param":    {"type": "Type", "default": "Default", "description": "Description", "minimum": "Minimum", "maximum": "Maximum", "pattern": "Pattern", "enum": "Enum"},
	"Stage": {"run": "Run", "command": "Command", "deploy": "Deploy", "target": "Target", "needs": "Needs", "if": "If", "inputs": "Inputs", "outputs": "Outputs", "metrics": "Metrics",
		"env": "Env", "code": "Code", "resources": "Resources", "timeout": "Timeout", "queue_timeout": "Queue", "retry": "Retry", "approve": "Approve", "pipeline": "Pipeline", "uses": "Uses", "with": "With",
		"matrix": "Matrix", "each": "Each", "parallel": "Parallel", "until": "Until", "concurrency": "Concurrency", "secrets": "Secrets", "environment": "Environment", "cache": "Cache", "checkpoint": "Checkpoint", "launch": "Launch", "priority": "Priority", "register": "Register", "batch": "Batch", "sweep": "Sweep"},
	"Sweep":     {"space": "Space", "objective": "Metric", "algorithm": "Algorithm", "stop": "Stop", "limits": "Limits"},
	"Algorithm": {"kind": "Kind", "seed": "Seed", "startup": "Startup", "candidates": "Candidates"},
	"StopRule": {"kind": "Kind", "interval": "Interval", "delay": "Delay", "slack_factor": "SlackFactor", "slack_amount": "SlackAmount", "min_trials": "MinTrials", "percent": "Percent",
		"min": "Min", "factor": "Factor", "max": "Max"},
	"SweepLimits": {"trials": "Trials", "parallel": "Parallel", "time": "Time", "failures": "Failures"},
	"Matrix":      {"include": "Include", "exclude": "Exclude"},
	"Until":       {"when": "When", "attempts": "Attempts", "every": "Every"},
	"Approve":     {"by": "By", "message": "Message", "timeout": "Timeout"},
	"Concurrency": {"group": "Group", "limit": "Limit"},
	"Environment": {"python": "Python", "image": "Image"},
	"Python":      {"version": "Version", "requirements": "Requirements", "packages": "Packages"},
	"Cache":       {"max_age": "MaxAge"},
	"Resources":   {"cpus": "CPUs", "gpus": "GPUs", "memory": "Memory", "nodes": "Nodes"},
	"Checkpoint":  {"path": "Folder", "keep": "Keep"},
	"Retry":       {"attempts": "Attempts", "backoff": "Backoff", "on": "On", "budgets": "Budgets", "grow_memory": "Grow"},
	"Batch":       {"over": "Over", "score": "Score", "items": "Items", "size": "Size", "model": "Model", "append": "Append", "parallel": "Parallel", "processes_per_node": "Processes", "error_threshold": "Threshold", "retries": "Retries", "timeout": "Timeout"},
	"Deploy": {"endpoint": "Endpoint", "model": "Model", "score": "Score", "run": "Run", "sample": "Sample", "answer": "Answer", "instances": "Instances", "health": "Health",
		"path": "Path", "ready": "Ready", "mirror": "Mirror", "canary": "Canary", "rollback": "Rollback", "sticky": "Sticky", "auth": "Auth", "autoscale": "Autoscale", "limits": "Limits", "batching": "Batching", "bytes": "Bytes"},
	"Mirror":     {"percent": "Percent", "hold": "Hold", "check": "Check", "tolerance": "Tolerance", "requests": "Requests"},
	"CanaryStep": {"weight": "Weight", "hold": "Hold", "check": "Check", "requests": "Requests"},
	"Rollback":   {"when": "When", "hold": "Hold", "every": "Every", "over": "Over", "requests": "Requests"},
	"Autoscale":  {"min": "Min", "max": "Max", "utilisation": "Utilisation", "delay": "Delay"},
	"Limits":     {"concurrent": "Concurrent", "queue": "Queue", "timeout": "Timeout", "drain": "Drain"},
	"Batching":   {"max": "Max", "wait": "Wait"},
	"Workspace":  {"amlflow": "", "workspace": "Name", "targets": "Targets", "profiles": "Profiles", "secrets": "Secrets", "groups": "Groups", "store": "Store", "engine": "Engine"},
	"Target":     {"kind": "Kind", "cost": "Cost"},
	"Secret":     {"env": "Env", "file": "File", "store": "Store"},
	"Profile":    {"targets": "Targets", "params": "Params"},
	"Engine":     {"address": "Address", "namespace": "Namespace", "tls": "TLS", "api_key_env": "APIKeyEnv"},
	"TLS":        {"ca": "CA", "cert": "Cert", "key": "Key", "server_name": "ServerName"},
}

// Fields that are about the file rather than in it, or made of its keys.
var apart = map[string][]string{
	"Pipeline": {"Source", "sources", "Import", "scope", "alone", "later", "early", "broken"}, "Template": {"Source", "sources", "Import", "alone"}, "Param": {"Name", "Path"},
	"Stage":  {"Name", "Path", "AnyOf", "Prefer", "Template", "Nested", "defaults"},
	"Matrix": {"Axes"}, "Concurrency": {"Path"}, "Cache": {"Use"}, "Schedule": {"Path"}, "Sweep": {"Maximize"},
	"Workspace": {"Source", "Dir"}, "Target": {"Name", "Path", "Settings"}, "Secret": {"Name", "Path"}, "Profile": {"Name", "Path"},
}

func TestSchemaAndTypesAgree(t *testing.T) {
	p, w := pipelineForm(), workspaceForm()
	for _, c := range []struct {
		of   any
		form form
		at   string
	}{
		{Pipeline{}, p, ""}, {Param{}, p, "/$defs/param"}, {Stage{}, p, "/$defs/stage"}, {Resources{}, p, "/$defs/resources"}, {Checkpoint{}, p, "/$defs/checkpoint"}, {Retry{}, p, "/$defs/retry"}, {Deploy{}, p, "/$defs/deploy"}, {Batch{}, p, "/$defs/batch"},
		{Mirror{}, p, "/$defs/mirror"}, {CanaryStep{}, p, "/$defs/canary_step"}, {Rollback{}, p, "/$defs/rollback"}, {Autoscale{}, p, "/$defs/autoscale"}, {Limits{}, p, "/$defs/limits"}, {Batching{}, p, "/$defs/batching"},
		{Template{}, templateForm(), ""}, {Matrix{}, p, "/$defs/matrix"}, {Until{}, p, "/$defs/until"}, {Approve{}, p, "/$defs/approve"}, {Concurrency{}, p, "/$defs/concurrency"},
		{Environment{}, p, "/$defs/environment"}, {Python{}, p, "/$defs/environment/properties/python"}, {Cache{}, p, "/$defs/cache"}, {Schedule{}, p, "/$defs/schedule"},
		{Sweep{}, p, "/$defs/sweep"}, {Algorithm{}, p, "/$defs/algorithm"}, {StopRule{}, p, "/$defs/stop"}, {SweepLimits{}, p, "/$defs/sweep_limits"},
		{Workspace{}, w, ""}, {Target{}, w, "/$defs/target"}, {Secret{}, w, "/$defs/secret"}, {Profile{}, w, "/$defs/profile"}, {Engine{}, w, "/properties/engine"}, {TLS{}, w, "/properties/engine/properties/tls"},
	} {
		typ := reflect.TypeOf(c.of)
		home := homes[typ.Name()]
		if d := cmp.Diff(keysOf(c.form.at(c.at)["properties"]), sorted(home)); d != "" {
			t.Errorf("%s: properties of the schema and homes in Go differ:\n%s", typ.Name(), d)
		}
		fields := map[string]bool{}
		for _, name := range apart[typ.Name()] {
			fields[name] = true
		}
		for _, name := range home {
			if _, ok := typ.FieldByName(name); !ok && name != "" {
				t.Errorf("%s has no field %s", typ.Name(), name)
			}
			fields[name] = true
		}
		for i := range typ.NumField() {
			if !fields[typ.Field(i).Name] {
				t.Errorf("%s.%s is in no schema", typ.Name(), typ.Field(i).Name)
			}
		}
	}
}

func sorted(home map[string]string) []string {
	var keys []string
	for key := range home {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// The descriptions are what an editor shows, so each property has one.
func TestSchemasAreDocumented(t *testing.T) {
	for _, kind := range Kinds() {
		f := load(kind)
		f.check() // compiles
		doc := asMap(f.doc)
		for _, key := range []string{"$schema", "$id", "title", "description"} {
			if doc[key] == nil {
				t.Errorf("%s has no %s", kind, key)
			}
		}
		described(t, kind, doc, "")
	}
	if _, ok := JSON("nothing"); ok {
		t.Error("there is no schema named nothing")
	}
}

func described(t *testing.T, kind string, v any, path string) {
	m := asMap(v)
	if !strings.Contains(path, "/then") && !strings.Contains(path, "/dependentRequired") {
		for name, property := range asMap(m["properties"]) {
			if text, _ := asMap(property)["description"].(string); !strings.HasSuffix(text, ".") {
				t.Errorf("%s%s/properties/%s has no description that ends with a full stop", kind, path, name)
			}
		}
	}
	for key, child := range m {
		described(t, kind, child, path+"/"+key)
	}
	if m["oneOf"] != nil && !strings.HasSuffix(path, "/properties") {
		t.Errorf("%s%s uses oneOf, of which every branch would report", kind, path)
	}
}

// A template's definitions are those of the pipeline: its schema holds a copy of
// their text, since an editor reads one file. Run with -update after a change.
func TestTemplateHasTheDefinitionsOfAPipeline(t *testing.T) {
	const mark = "\n  \"$defs\": {"
	pipeline, _ := JSON("pipeline")
	template, _ := JSON("template")
	_, want, _ := strings.Cut(string(pipeline), mark)
	own, got, ok := strings.Cut(string(template), mark)
	if !ok || want == "" {
		t.Fatal("a schema has no $defs")
	}
	if update := flag.Lookup("update"); update.Value.String() == "true" {
		if err := os.WriteFile("template.schema.json", []byte(own+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What is to come must be neither in the schema nor without a cure.
func TestNotYet(t *testing.T) {
	for part, keys := range notYet {
		f, at := pipelineForm(), "/$defs/"+part
		switch part {
		case "pipeline":
			at = ""
		case "workspace":
			f, at = workspaceForm(), ""
		}
		properties := asMap(f.at(at)["properties"])
		if properties == nil {
			t.Errorf("%s is no part of a file", part)
		}
		for key, l := range keys {
			if properties[key] != nil {
				t.Errorf("%s of %s is here already", key, part)
			}
			if l.what == "" || l.cure == "" {
				t.Errorf("%s of %s has no words", key, part)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	data, err := os.ReadFile("testdata/ok/digits.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, fs := ReadPipeline("digits.yaml", data)
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	minimum := 50.0
	if d := cmp.Diff(Param{Name: "rows", Path: "/params/rows", Type: Integer, Default: 500, Minimum: &minimum, Description: "Rows to experiment on."}, p.Params[0]); d != "" {
		t.Error(d)
	}
	train := p.Stages[1]
	train.Run = ""
	want := Stage{Name: "train", Path: "/stages/train", Target: []string{"training"}, Inputs: []Named{{Name: "data", Text: "${{ stages.prepare.outputs.data }}", Path: "/stages/train/inputs/data"}}, Outputs: []Declared{{"model", Folder}},
		Metrics: []Declared{{"accuracy", Number}}, Resources: Resources{CPUs: "0.5", Memory: "1Gi", Nodes: "${{ params.nodes }}"}, Timeout: 90 * 60 * 1e9,
		Retry: Retry{Attempts: 3, Backoff: 10e9, On: []string{"lost", "exit 75"}}}
	if d := cmp.Diff(want, train, cmp.AllowUnexported(Stage{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&Deploy{Endpoint: "digits", Model: "${{ stages.train.outputs.model }}", Score: "score.py", Sample: "sample.json", Instances: "2"}, p.Stages[2].Deploy); d != "" {
		t.Error(d)
	}
	if p.Finally[0].Name != "report" || p.Outputs[0].Name != "accuracy" || p.Outputs[0].Text != "${{ stages.train.metrics.accuracy }}" {
		t.Error(p.Finally, p.Outputs)
	}
}

func TestDecodeWorkspace(t *testing.T) {
	data, err := os.ReadFile("testdata/ok/workspace-full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w, fs := ReadWorkspace("amlflow.yaml", data)
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	w.Source = nil
	want := &Workspace{Name: "vision-team", Store: ".amlflow/store", Groups: map[string][]string{"ml-leads": {"ana", "bo"}},
		Secrets: []Secret{{Name: "hf", Path: "/secrets/hf", Store: true}, {Name: "token", Path: "/secrets/token", File: "~/.token"}, {Name: "wandb", Path: "/secrets/wandb", Env: "WANDB_API_KEY"}},
		Targets: []Target{{Name: "local", Path: "/targets/local", Kind: "local"}, {Name: "odd", Path: "/targets/odd", Kind: "dummy", Cost: 1.5, Settings: json.RawMessage(`{"anything":[1,{"a":"b"}]}`)}},
		Profiles: []Profile{{Name: "laptop", Path: "/profiles/laptop", Targets: map[string]string{"training": "local"}, Params: map[string]any{}},
			{Name: "prod", Path: "/profiles/prod", Targets: map[string]string{}, Params: map[string]any{"nodes": 2, "name": "x", "list": []any{1}}}},
		Engine: Engine{Address: "temporal.lan:7233", Namespace: "vision", TLS: &TLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem", ServerName: "temporal"}, APIKeyEnv: "TEMPORAL_KEY"}}
	if d := cmp.Diff(want, w); d != "" {
		t.Error(d)
	}
	if _, ok := w.Profile("prod"); !ok {
		t.Error("there is a profile named prod")
	}
	if _, ok := w.Profile("none"); ok {
		t.Error("there is no profile named none")
	}
}

func TestFindWorkspace(t *testing.T) {
	dir := t.TempDir()
	deep := dir + "/a/b"
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/a/amlflow.yaml", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if path, ok := FindWorkspace(deep); !ok || path != dir+"/a/amlflow.yaml" {
		t.Errorf("found %q", path)
	}
	if w := DefaultWorkspace(deep); len(w.Targets) != 1 || w.Targets[0].Kind != "local" || w.Dir != deep {
		t.Error(w)
	}
}

func TestTimesAndSizes(t *testing.T) {
	for text, want := range map[string]string{"30s": "30s", "1h30m": "1h30m0s", "1d": "24h0m0s", "1.5d": "36h0m0s", "10ms": "10ms", "": "", "5": "", "-1s": "", "1 h": "", "1w": "", "999999999999d": ""} {
		d, err := ParseDuration(text)
		if got := d.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("ParseDuration(%q) = %v, %v, want %q", text, d, err, want)
		}
	}
	for text, want := range map[string]int64{"1": 1, "512Mi": 512 << 20, "1.5Gi": 3 << 29, "2G": 2e9, "1Ti": 1 << 40, "0": 0, "": 0, "2GB": 0, "-1": 0, "0.1": 0, "9e99": 0, "9999999999Ti": 0} {
		n, err := ParseBytes(text)
		if n != want || (err == nil) != (want > 0) {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", text, n, err, want)
		}
	}
}

func TestAccept(t *testing.T) {
	five, one := 5.0, 1.0
	for _, c := range []struct {
		p    Param
		v    any
		want any
		fits bool
	}{
		{Param{Type: Integer}, 3.0, 3, true}, {Param{Type: Integer}, int64(3), 3, true}, {Param{Type: Integer}, 3.5, nil, false}, {Param{Type: Integer}, "3", nil, false},
		{Param{Type: Number}, 3, 3.0, true}, {Param{Type: Boolean}, true, true, true}, {Param{Type: Boolean}, "true", nil, false},
		{Param{Type: Integer, Minimum: &five}, 4, nil, false}, {Param{Type: Integer, Maximum: &five}, 6, nil, false}, {Param{Type: Integer, Minimum: &five, Maximum: &five}, 5, 5, true},
		{Param{Type: String, Pattern: "a+"}, "aaa", "aaa", true}, {Param{Type: String, Pattern: "a|b"}, "ab", nil, false}, {Param{Type: String, Minimum: &five}, "äöüß", nil, false},
		{Param{Type: String, Enum: []any{"x", "y"}}, "y", "y", true}, {Param{Type: String, Enum: []any{"x", "1"}}, "z", nil, false}, {Param{Type: Number, Enum: []any{1, 2.5}}, 1.0, 1.0, true},
		{Param{Type: List, Maximum: &one}, []any{1, 2}, nil, false}, {Param{Type: List, Enum: []any{1, 2}}, []any{2, 1}, []any{2, 1}, true}, {Param{Type: List, Enum: []any{1, 2}}, []any{3}, nil, false},
		{Param{Type: List, Enum: []any{1, "2"}}, []any{1.0, "2"}, []any{1.0, "2"}, true}, {Param{Type: List, Enum: []any{1, "2"}}, []any{"1"}, nil, false}, {Param{Type: List, Enum: []any{1}}, []any{}, nil, false},
		{Param{Type: String, Pattern: "(a|b){1,900}"}, strings.Repeat("a", 100_000), nil, false}, // in no time, because it is not tried
	} {
		got, problem := c.p.Accept(c.v)
		if (problem == "") != c.fits || c.fits && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v accepts %v as %#v, problem %q", c.p, c.v, got, problem)
		}
	}
}

// The example of the repository must be silent, with its own workspace and files.
func TestExample(t *testing.T) {
	const dir = "../specs/examples/digits"
	data, err := os.ReadFile(dir + "/digits.pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	workspace, err := os.ReadFile(dir + "/amlflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, fs := ReadPipeline("digits.pipeline.yaml", data)
	w, more := ReadWorkspace("amlflow.yaml", workspace)
	if fs = append(append(fs, more...), Check(p, w, os.DirFS(dir))...); len(fs) > 0 {
		t.Error(fs)
	}
}

// Checking ten thousand stages, and as many mistakes, takes time in proportion.
func BenchmarkCheck(b *testing.B) {
	for name, data := range map[string][]byte{"chain": many(10_000, "s%[2]d"), "fan": many(10_000, "s0"), "wrong": many(10_000, "s%[2]dx")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, fs := ReadPipeline("f", data)
				fs = append(fs, Check(p, DefaultWorkspace(""), nil)...)
				if (len(fs) > 0) != (name == "wrong") {
					b.Fatal(fs[0])
				}
			}
		})
	}
}

// many is a pipeline of n stages, each of which reads the stage that needs names.
func many(n int, needs string) []byte {
	var b strings.Builder
	b.WriteString("amlflow: v1\npipeline: many\nstages:\n  s0: { run: \"true\", outputs: { a: file } }\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%[1]d: { run: \"cat $AMLFLOW_INPUT_A\", inputs: { a: \"${{ stages."+needs+".outputs.a }}\" }, outputs: { a: file } }\n", i+1, i)
	}
	return []byte(b.String())
}
