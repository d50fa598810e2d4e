package schema_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

var update = flag.Bool("update", false, "write the .out files of testdata/err")

// Golden files: those in ok must be silent; what those in err give is beside them.
// Names that begin with "workspace" are workspaces, with "template" templates, and all
// others are pipelines of the workspace and folder in testdata/folder.
func TestGolden(t *testing.T) {
	for _, kind := range []string{"ok", "err"} {
		names, err := filepath.Glob("testdata/" + kind + "/*.yaml")
		if err != nil || len(names) == 0 {
			t.Fatal("no golden files", err)
		}
		t.Logf("%d files in %s", len(names), kind)
		for _, name := range names {
			t.Run(kind+"/"+filepath.Base(name), func(t *testing.T) { golden(t, name, kind == "err") })
		}
	}
}

func golden(t *testing.T, name string, wrong bool) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	source, fs := checkFile(t, filepath.Base(name), data)
	var b strings.Builder
	if err := diag.Text(&b, fs, func(file string, n int) string {
		if file != source.Name {
			return ""
		}
		return source.Line(n)
	}, false); err != nil {
		t.Fatal(err)
	}
	if !wrong {
		if b.Len() > 0 {
			t.Errorf("not silent:\n%s", b.String())
		}
		return
	}
	for _, f := range fs {
		if f.Hint == "" || f.Code == "" || f.Line < 1 || f.Col < 1 {
			t.Errorf("a finding without place, code or cure: %#v", f)
		}
	}
	out := strings.TrimSuffix(name, ".yaml") + ".out"
	if *update {
		if err := os.WriteFile(out, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" || len(fs) == 0 {
		t.Errorf("%d findings; run with -update if this is right:\n%s", len(fs), d)
	}
}

// checkFile reads and checks a file as the command line does. The files that it uses
// are those of testdata/folder.
func checkFile(t *testing.T, name string, data []byte) (*schema.Source, diag.Findings) {
	t.Helper()
	folder := os.DirFS("testdata/folder")
	return checkIn(t, name, data, schema.FolderImporter{Files: folder, Beside: folder})
}

func checkIn(t *testing.T, name string, data []byte, im schema.Importer) (*schema.Source, diag.Findings) {
	t.Helper()
	switch {
	case strings.HasPrefix(name, "workspace"):
		w, fs := schema.ReadWorkspace(name, data)
		return w.Source, fs
	case strings.HasPrefix(name, "template"):
		tpl, fs := schema.ReadTemplate(name, data)
		fs = append(fs, tpl.Link(im)...)
		return tpl.Source, append(fs, tpl.Check(testWorkspace(t))...).Sort()
	}
	p, fs := schema.ReadPipeline(name, data)
	fs = append(fs, p.Link(im)...)
	again := append(fs, schema.Check(p, testWorkspace(t), os.DirFS("testdata/folder"))...)
	return p.Source, again.Sort()
}

func testWorkspace(t *testing.T) *schema.Workspace {
	t.Helper()
	data, err := os.ReadFile("testdata/folder/amlflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w, fs := schema.ReadWorkspace("amlflow.yaml", data)
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	w.Dir = "testdata/folder"
	return w
}
