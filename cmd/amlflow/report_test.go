package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/schema/diag"

	"github.com/google/go-cmp/cmp"
)

func TestReportsAreAskedFor(t *testing.T) {
	for line, want := range map[string]string{
		"sarif":                      "sarif",
		"sarif=a=b.json junit=c.xml": "sarif=a=b.json junit=c.xml",
		"text=-":                     "text",
		"text json=-":                `"text" goes to standard output already: write --report json=FILE`,
		"sarif=x gitlab=x":           `"sarif" goes to "x" already: name another file`,
		"junit=":                     "it names no file: write --report junit=FILE",
		"Junit":                      `there is no report of kind "Junit": did you mean "junit"?`,
		"html":                       `there is no report of kind "html": use text, json, sarif, junit, github, gitlab, azure`,
	} {
		var r reports
		got := ""
		for text := range strings.FieldsSeq(line) {
			if err := r.Set(text); err != nil {
				got = err.Error()
			}
		}
		if got == "" {
			got = r.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestTheCIChoosesWhenNobodyDid(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"":             {"GITLAB_CI": "true", "GITHUB_ACTIONS": "", "TF_BUILD": "no"},
		"github":       {"GITHUB_ACTIONS": "true"},
		"azure":        {"TF_BUILD": "True"},
		"github azure": {"GITHUB_ACTIONS": "true", "TF_BUILD": "true"},
	} {
		get := func(name string) string { return env[name] }
		if got := strings.Join((&reports{}).ofCI(get), " "); got != want {
			t.Errorf("%v: %q", env, got)
		}
		if got := (&reports{asked: []wish{{"sarif", "x"}}}).ofCI(get); got != nil {
			t.Errorf("%v: %v beside what was asked for", env, got)
		}
	}
}

// What is not a plain file keeps its place, and nothing else is left lying around.
func TestReportsTakeThePlaceOfFiles(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "new", "a"), filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{file, link, file, os.DevNull} {
		if err := replace(to, []byte("from "+to)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(link); err != nil || string(text) != "from "+file {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link became a file: %v, %v", info, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s became a file: %v, %v", os.DevNull, info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if err := replace(dir, nil); err == nil {
		t.Error("a folder became a report")
	}
}

// Standard output is the report's alone, and people still get their text.
func TestDeliver(t *testing.T) {
	found := diag.Findings{{Pos: diag.Pos{File: "f", Line: 1, Col: 1}, Severity: diag.Warning, Code: "c", Message: "m"}}
	const text, data = "f:1:1: warning: m [c]\n", `{"findings"`
	t.Setenv("GITHUB_ACTIONS", "")
	t.Setenv("TF_BUILD", "")
	for _, c := range []struct {
		what      string
		r         reports
		output    string
		out, err  string
		elsewhere bool // what comes afterwards goes to standard error
	}{
		{"validate", reports{data: true}, "table", text, "", false},
		{"run", reports{}, "table", "", text, false},
		{"validate -o json", reports{data: true}, "json", "", "", false},
		{"run -o json", reports{}, "json", "", text, false},
		{"validate --report json", reports{data: true, asked: []wish{{"json", ""}}}, "table", data, text, true},
		{"run --report json", reports{asked: []wish{{"json", ""}}}, "table", data, text, true},
		{"run --report text", reports{asked: []wish{{"text", ""}}}, "table", text, "", false},
	} {
		var out, err bytes.Buffer
		p := &program{out: &out, err: &err, output: c.output}
		if e := p.deliver(&c.r, found, nil, nil); e != nil {
			t.Fatal(c.what, e)
		}
		if !strings.HasPrefix(out.String(), c.out) || (c.out == "") != (out.Len() == 0) || err.String() != c.err {
			t.Errorf("%s: printed %q and said %q", c.what, out.String(), err.String())
		}
		if (p.out == p.err) != c.elsewhere {
			t.Errorf("%s: what comes afterwards goes to standard error: %t", c.what, p.out == p.err)
		}
	}
}

func TestNamesOfTheRepository(t *testing.T) {
	root := t.TempDir()
	here := filepath.Join(root, "a", "b")
	for _, dir := range []string{here, filepath.Join(root, ".git")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(here)
	at := whereabouts(func(string) string { return "" })
	r := diag.Report{Files: []string{"x", "../y", filepath.Join(root, "z"), "../../../c", ""}}
	for kind, want := range map[string][]string{
		"sarif": {"a/b/x", "a/y", "z", resolved(filepath.Dir(root)) + "/c", ""},
		"azure": {resolved(here) + "/x", resolved(root) + "/a/y", filepath.Join(root, "z"), resolved(filepath.Dir(root)) + "/c", ""},
		"json":  r.Files,
	} {
		if d := cmp.Diff(want, at.named(r, kind).Files); d != "" {
			t.Errorf("%s:\n%s", kind, d)
		}
	}
	at = whereabouts(func(name string) string { return map[string]string{"CI_PROJECT_DIR": filepath.Join(root, "a")}[name] })
	if d := cmp.Diff("b/x", at.inRepository("x")); d != "" {
		t.Error(d)
	}
}
