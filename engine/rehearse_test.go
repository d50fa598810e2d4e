package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// Each case is a folder with a pipeline and its tests, and what comes of them.
func TestRehearsals(t *testing.T) {
	cases, err := filepath.Glob("testdata/rehearsals/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			want := unpack(t, a)
			got := rehearsed(t, "x.test.yaml")
			if again := rehearsed(t, "x.test.yaml"); again != got {
				t.Errorf("the second time it is another: %s", cmp.Diff(got, again))
			}
			if *update {
				a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
				a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(golden, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// unpack writes the files of an archive into a folder of their own, goes there, and
// returns what is wanted.
func unpack(t *testing.T, a *txtar.Archive) (want string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range a.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

func rehearsed(t *testing.T, file string) string {
	t.Helper()
	r, err := engine.Rehearse(t.Context(), file, engine.RehearseOptions{Drivers: serving(), Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	show := func(fs diag.Findings) {
		if err := diag.Text(&b, fs, line, false); err != nil {
			t.Fatal(err)
		}
	}
	show(r.Findings)
	for _, c := range r.Cases {
		if c.Wall > 10*time.Second {
			t.Errorf("%s took %s", c.Name, c.Wall)
		}
		verdict := "FAILED"
		if c.Passed() {
			verdict = "ok"
		}
		fmt.Fprintf(&b, "%s %s %s\n", verdict, c.Name, c.Took)
		show(c.Findings)
	}
	return b.String()
}

func line(file string, n int) string {
	text, err := os.ReadFile(file)
	lines := strings.Split(string(text), "\n")
	if err != nil || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// serving is the scripted driver as one that also serves; nothing is run on it.
func serving() map[string]target.Driver {
	return map[string]target.Driver{"local": waiter{dummy.New()}}
}

type waiter struct{ target.Driver }

func (waiter) Can(target.Target) target.Can { return target.Can{Nodes: 4, Serve: true, Route: true} }

// More than a thousand items end at the same time, in several workflows at once.
func TestManyItemsEndAtOnce(t *testing.T) {
	const n = 600
	list := strings.TrimSuffix(strings.Repeat("1,", n), ",")
	unpack(t, &txtar.Archive{Files: []txtar.File{
		{Name: "p.pipeline.yaml", Data: fmt.Appendf(nil, "amlflow: v1\npipeline: p\nstages:\n  a: { each: [%s], run: ok, outputs: { n: integer } }\n  b: { each: [%s], run: ok }\n  sum: { env: { SUM: \"${{ sum(stages.a.outputs.n) }}\" }, run: ok }\n", list, list)},
		{Name: "x.test.yaml", Data: fmt.Appendf(nil, "amlflow: v1\ntest: x\npipeline: p.pipeline.yaml\ncases:\n  many:\n    stages: { a: { outputs: { n: 2 } } }\n    expect: { status: succeeded, stages: { sum: { env: { SUM: %d } } } }\n", 2*n)},
	}})
	if got := rehearsed(t, "x.test.yaml"); got != "ok many 0s\n" {
		t.Error(got)
	}
}
