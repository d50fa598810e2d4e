package schema_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/amlflow/amlflow/docs/findings"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// Codes that are found only with parameters, drivers or a run, so that no file alone can give them.
// Those of tests are in testdata/test.
var elsewhere = []string{"bad-amount", "bad-code", "bad-reference", "bad-test", "not-mocked", "test-failed", "expression-value", "import-depth", "limit-not-held", "missing-template", "missing-value", "not-formatted", "stage-failed", "target-cannot", "template-changed", "template-not-locked", "template-unreachable", "unknown-kind", "unknown-model", "unknown-profile"}

// codeInGo finds codes where findings are made.
var codeInGo = regexp.MustCompile(`(?:\.(?:find|finding|value|key|advise|adviseValue|atKey|atValue|bad|within|inWorkspace)\([^"\n]*?|Code: +|diag\.Code\(|what\(|Code[A-Z]\w+ += |hint = |return )"([a-z]+(?:-[a-z]+)+|alias|cycle|tag|expression)"`)

func TestEveryCodeHasAPage(t *testing.T) {
	used := map[string]string{}
	for _, pattern := range []string{"*.go", "expr/*.go", "../engine/*.go", "../engine/*/*.go", "../cmd/amlflow/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.SplitSeq(string(text), "\n") {
				for _, m := range codeInGo.FindAllStringSubmatch(line, -1) {
					used[m[1]] = name
				}
			}
		}
	}
	pages := findings.Codes()
	for code, name := range used {
		if !slices.Contains(pages, code) {
			t.Errorf("docs/findings has no page for %q of %s", code, name)
		}
	}
	for _, code := range pages {
		if used[code] == "" && !slices.Contains(elsewhere, code) {
			t.Errorf("docs/findings/%s.md is for a code that nothing gives", code)
		}
	}
}

// fences are the YAML of a page.
var fences = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// examples are the files of a page: those to be checked, in order, and those that
// they use, which begin with their name: "# file: train.template.yaml".
func examples(page string) (wrong []string, beside fstest.MapFS) {
	beside = fstest.MapFS{}
	for _, m := range fences.FindAllStringSubmatch(page, -1) {
		if name, ok := strings.CutPrefix(m[1], "# file: "); ok {
			name, _, _ = strings.Cut(name, "\n")
			beside[name] = &fstest.MapFile{Data: []byte(m[1])}
			continue
		}
		wrong = append(wrong, m[1])
	}
	return wrong, beside
}

// Each page shows a file that gives the code and one that does not.
func TestPagesAreTrue(t *testing.T) {
	for _, code := range findings.Codes() {
		page, _ := findings.Page(code)
		if !strings.HasPrefix(page, "# "+code+"\n") {
			t.Errorf("%s: the page begins with another title", code)
		}
		files, beside := examples(page)
		if slices.Contains(elsewhere, code) {
			continue
		}
		if len(files) != 2 {
			t.Errorf("%s: %d examples, want a wrong and a right one", code, len(files))
			continue
		}
		im := schema.FolderImporter{Files: beside}
		if _, fs := checkIn(t, "example.yaml", []byte(files[0]), im); !has(fs, code) {
			t.Errorf("%s: the example does not give it, but %v", code, fs)
		}
		if _, fs := checkIn(t, "example.yaml", []byte(files[1]), im); len(fs) > 0 {
			t.Errorf("%s: the cure gives %v", code, fs)
		}
	}
	if _, ok := findings.Page("no-such-code"); ok {
		t.Error("there is no page for no-such-code")
	}
}

func has(fs diag.Findings, code string) bool {
	return slices.ContainsFunc(fs, func(f diag.Finding) bool { return string(f.Code) == code })
}

// Every code that a file can give is given by a golden file, at its place.
func TestGoldenFilesCoverEveryCode(t *testing.T) {
	names, err := filepath.Glob("testdata/err/*.out")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, code := range findings.Codes() {
		if !slices.Contains(elsewhere, code) && !strings.Contains(all.String(), "["+code+"]\n") {
			t.Errorf("no file in testdata/err gives %q", code)
		}
	}
}
