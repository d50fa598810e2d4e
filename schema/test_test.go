package schema

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema/diag"
)

// Golden files: those whose names begin with "ok" must be silent; what the others give
// is beside them.
func TestReadTestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/test/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			read, fs := ReadTest(filepath.Base(name), data)
			var b strings.Builder
			if err := diag.Text(&b, fs, func(_ string, n int) string { return read.Source.Line(n) }, false); err != nil {
				t.Fatal(err)
			}
			out, want := strings.TrimSuffix(name, ".yaml")+".out", ""
			if !strings.HasPrefix(filepath.Base(name), "ok") {
				if flag.Lookup("update").Value.String() == "true" {
					if err := os.WriteFile(out, []byte(b.String()), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				text, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				want = string(text)
			}
			if d := cmp.Diff(want, b.String()); d != "" {
				t.Errorf("%d findings; run with -update if this is right:\n%s", len(fs), d)
			}
		})
	}
}

func TestReadTest(t *testing.T) {
	data, err := os.ReadFile("testdata/test/ok-full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read, fs := ReadTest("full.yaml", data)
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	c := &read.Cases[0]
	params, at := read.Given(c)
	if params["rows"] != 1000 || at["rows"] != "/cases/good enough is served/params/rows" || at["list"] == "" {
		t.Error(params, at)
	}
	if name, at := read.ProfileOf(c); name != "laptop" || at != "/cases/good enough is served/profile" {
		t.Error(name, at)
	}
	if name, at := read.ProfileOf(&read.Cases[1]); name != "cluster" || at != "/profile" {
		t.Error(name, at)
	}
	if *c.Cancel != time.Hour || *c.Expect.Took != time.Hour || *c.Expect.Stages[0].Exit != 0 || c.Expect.Skipped == nil || len(c.Expect.Skipped.List) != 0 {
		t.Errorf("%+v", c)
	}
	gate := c.Stages[3]
	if d := cmp.Diff(Decision{Approve: "ana", After: time.Hour, Comment: "well done"}, *gate.Decision); d != "" || gate.Stage != "inner/gate" {
		t.Error(d)
	}
	if read.Source.Line(read.Source.KeyAt(gate.Path).Line) != "      inner/gate: { approve: ana, after: 1h, comment: well done }" {
		t.Error(gate.Path)
	}
	again := c.Stages[1].Attempts
	if again[0].Exit != 75 || again[1].Signal != 9 || again[1].Takes != time.Hour || again[2].Fails != "lost" || again[3].Failing() || !again[0].Failing() {
		t.Errorf("%+v", again)
	}
	if items := c.Stages[2].Items; len(items) != 3 || len(items[2].Attempts) != 2 || items[0].Result.Outputs["n"] != 1 {
		t.Errorf("%+v", items)
	}
	if f := read.Cases[1].Expect.Findings[0]; f.Code != "param-value" || f.Line != 5 || f.File == "" || f.Param != "rows" || f.Message != "less than" {
		t.Errorf("%+v", f)
	}
}

// What a case says of a stage, or of a part of it, comes instead of what the file says.
func TestMocksOfACase(t *testing.T) {
	read, _ := ReadTest("f", []byte(`{amlflow: v1, test: t, pipeline: p, stages: {a: {}, b/c: {}, b/d: {}, e: {}, f: {}},
cases: {one: {stages: {a: {exit: 1}, b: {}, e/x: {}}, expect: {status: failed}}}}`))
	var got []string
	for _, m := range read.Mocks(&read.Cases[0]) {
		got = append(got, m.Stage+" "+m.Path)
	}
	want := []string{"f /stages/f", "a /cases/one/stages/a", "b /cases/one/stages/b", "e/x /cases/one/stages/e~1x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A key that is in the schema and has no field, or the other way round, fails here.
func TestTestSchemaAndTypesAgree(t *testing.T) {
	homes := map[string]string{"amlflow": "", "test": "Name", "path": "Ran", "exit": "Exit", "endpoint": "Measured"}
	for at, types := range map[string][]any{
		"": {Test{}}, "/$defs/case": {Case{}}, "/$defs/mock": {Mock{}, Result{}, Decision{}}, "/$defs/item": {Result{}, Mock{}}, "/$defs/result": {Result{}},
		"/$defs/expect": {Expect{}}, "/$defs/expected_stage": {ExpectedStage{}}, "/$defs/expected_finding": {ExpectedFinding{}},
	} {
		fields := map[string]bool{"": true}
		for _, of := range types {
			for i := range reflect.TypeOf(of).NumField() {
				fields[reflect.TypeOf(of).Field(i).Name] = true
			}
		}
		for _, key := range keysOf(testForm().at(at)["properties"]) {
			home, said := homes[key]
			if !said {
				home = strings.ToUpper(key[:1]) + key[1:]
			}
			if !fields[home] {
				t.Errorf("%s has %q, and no type has a field for it", at, key)
			}
			delete(fields, home)
		}
		for field := range fields {
			if field != "" && at != "/$defs/item" && field != "Source" && field != "Path" && field != "Name" && field != "Stage" && field != "Result" && field != "Decision" {
				t.Errorf("%s has nothing for the field %s", at, field)
			}
		}
	}
}

func FuzzReadTest(f *testing.F) {
	names, _ := filepath.Glob("testdata/test/*.yaml")
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read, fs := ReadTest("f", data)
		for _, x := range fs {
			if x.Line < 1 || x.Col < 1 || x.Line > len(read.Source.lines) || x.Code == "" || x.Message == "" || x.Hint == "" || x.Severity == "" {
				t.Fatalf("%q: a finding without place or words: %#v", data, x)
			}
		}
		again, more := ReadTest("f", data)
		if d := cmp.Diff(fs, more); d != "" {
			t.Fatalf("%q: the second time the findings differ: %s", data, d)
		}
		for i := range again.Cases {
			again.Given(&again.Cases[i])
			again.Mocks(&again.Cases[i])
		}
	})
}
