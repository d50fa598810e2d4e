package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what was found into the golden files")

// Each case is a pipeline, perhaps a workspace and files beside it, the options
// as flags, and the plan or the findings that are wanted.
func TestCompile(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, f := range a.Files {
				files[f.Name] = f.Data
			}
			got, want := compile(t, files), files["want"]
			if again := compile(t, files); !bytes.Equal(got, again) {
				t.Errorf("the same input gave another plan:\n%s", cmp.Diff(string(got), string(again)))
			}
			if *update {
				write(t, name, a, got)
			} else if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func write(t *testing.T, name string, a *txtar.Archive, got []byte) {
	t.Helper()
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
	a.Files = append(a.Files, txtar.File{Name: "want", Data: got})
	if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compile(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	p, fs := schema.ReadPipeline("p.pipeline.yaml", files["pipeline.yaml"])
	w := schema.DefaultWorkspace(".")
	if text, ok := files["amlflow.yaml"]; ok {
		var more diag.Findings
		w, more = schema.ReadWorkspace("amlflow.yaml", text)
		fs = append(fs, more...)
	}
	beside := fstest.MapFS{}
	for name, data := range files {
		beside[name] = &fstest.MapFile{Data: data}
	}
	if !fs.Bad() {
		fs = append(fs, schema.Check(p, w, beside)...)
	}
	if fs.Bad() {
		return lines(fs)
	}
	o := options(t, string(files["options"]), beside)
	out, more := plan.Compile(p, w, o)
	if more.Bad() {
		return lines(more)
	}
	out.Attach(map[plan.Folder]target.Ref{{}: "tree:sha256:code"}, nil)
	return digestless(out)
}

// digestless leaves out the digest, which would change with every new field.
func digestless(p *plan.Plan) []byte {
	c := *p
	c.Digest = ""
	return c.JSON()
}

func lines(fs diag.Findings) []byte {
	var b bytes.Buffer
	for _, f := range fs.Sort() {
		fmt.Fprintln(&b, f.Error())
	}
	return b.Bytes()
}

// options reads "-p k=v", "-target [stage=]name" and "-profile name", one a line.
func options(t *testing.T, text string, files fs.FS) plan.Options {
	t.Helper()
	o := plan.Options{
		Params: map[string]any{}, Targets: map[string]string{}, Files: files,
		Drivers: map[string]target.Driver{"local": local.Driver{Dir: "unused"}},
	}
	for line := range strings.Lines(text) {
		flag, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, rest, both := strings.Cut(value, "=")
		switch {
		case flag == "-profile":
			o.Profile = value
		case flag == "-p":
			o.Params[name] = rest
		case flag == "-target" && both:
			o.Targets[name] = rest
		case flag == "-target":
			o.Targets[""] = value
		}
	}
	return o
}

// A plan goes through Temporal as JSON and must come back as it was.
func TestAPlanSurvivesJSON(t *testing.T) {
	cases, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range cases {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			var p plan.Plan
			if f.Name != "want" || json.Unmarshal(f.Data, &p) != nil {
				continue
			}
			if d := cmp.Diff(string(f.Data), string(p.JSON())); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

func TestRetryCovers(t *testing.T) {
	for _, c := range []struct {
		on    []string
		cause target.Cause
		exit  int
		want  bool
	}{
		{nil, target.CauseExit, 1, true},
		{nil, target.CauseLost, 0, true},
		{nil, target.CauseCancel, 143, false},
		{[]string{"lost"}, target.CauseExit, 1, false},
		{[]string{"lost"}, target.CauseLost, 0, true},
		{[]string{"lost", "exit 75"}, target.CauseExit, 75, true},
		{[]string{"exit 75"}, target.CauseExit, 1, false},
		{[]string{"exit"}, target.CauseExit, 1, true},
	} {
		if got := (plan.Retry{On: c.on}).Covers(c.cause, c.exit); got != c.want {
			t.Errorf("%v covers %s %d: %v", c.on, c.cause, c.exit, got)
		}
	}
}
