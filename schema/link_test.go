package schema

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// chain is n templates of which each uses the next.
func chain(n int) fstest.MapFS {
	files := fstest.MapFS{}
	for i := range n {
		stage := fmt.Sprintf("{ uses: ./t%d.template.yaml }", i+1)
		if i == n-1 {
			stage = "{ run: echo }"
		}
		files[fmt.Sprintf("t%d.template.yaml", i)] = &fstest.MapFile{Data: []byte("amlflow: v1\ntemplate: t\nstage: " + stage + "\n")}
	}
	return files
}

func TestFilesUseEachOtherTenDeep(t *testing.T) {
	for n, want := range map[int]string{MaxNested: "", MaxNested + 1: "import-depth"} {
		p, fs := ReadPipeline("p.yaml", []byte("amlflow: v1\npipeline: p\nstages: { a: { uses: ./t0.template.yaml } }\n"))
		fs = append(fs, p.Link(FolderImporter{Files: chain(n)})...)
		got := ""
		for _, f := range fs {
			got += string(f.Code)
		}
		if got != want {
			t.Errorf("%d files: %v, want %q", n, fs, want)
		}
	}
}

// A file that is used by many stages is read once, and its mistakes are said once.
func TestFilesAreReadOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString("amlflow: v1\npipeline: p\nstages:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  a%d: { uses: ./broken.template.yaml }\n", i)
	}
	p, fs := ReadPipeline("p.yaml", []byte(b.String()))
	if fs = append(fs, p.Link(FolderImporter{Files: os.DirFS("testdata/folder")})...); len(fs) != 1 {
		t.Errorf("%d findings, want 1", len(fs))
	}
	good, _ := ReadPipeline("p.yaml", []byte(strings.ReplaceAll(b.String(), "broken", "list")))
	good.Link(FolderImporter{Files: os.DirFS("testdata/folder")})
	if good.Stages[0].Template == nil || good.Stages[0].Template != good.Stages[999].Template {
		t.Error("the template was read twice")
	}
}

// What a stage takes over from the defaults stands there.
func TestAt(t *testing.T) {
	p, fs := ReadPipeline("p.yaml", []byte(`amlflow: v1
pipeline: p
defaults: { timeout: 1h, retry: { attempts: 2 }, env: { A: x, B: y }, resources: { cpus: 1, memory: 1Gi } }
stages:
  a: { run: echo, env: { B: z }, resources: { cpus: 2 } }
  b: { approve: {} }
`))
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	for key, want := range map[string]string{
		"timeout": "/defaults/timeout", "retry/backoff": "/defaults/retry/backoff", "env/A": "/defaults/env/A", "env/B": "/stages/a/env/B",
		"resources/cpus": "/stages/a/resources/cpus", "resources/memory": "/defaults/resources/memory", "target": "/stages/a/target",
	} {
		if got := p.Stages[0].At(key); got != want {
			t.Errorf("At(%q) = %q, want %q", key, got, want)
		}
	}
	if a := p.Stages[0]; len(a.Env) != 2 || a.Resources.CPUs != "2" || a.Resources.Memory != "1Gi" || a.Retry.Attempts != 2 || a.Timeout == 0 {
		t.Errorf("%+v", a)
	}
	if b := p.Stages[1]; b.At("timeout") != "/stages/b/timeout" || b.Timeout != 0 || len(b.Env) != 0 {
		t.Errorf("a stage that waits for a person took %+v over", b)
	}
}
