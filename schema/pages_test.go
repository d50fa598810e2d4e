package schema_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/docs/findings"
	"github.com/amlflow/amlflow/schema/diag"
)

// Codes that are found only with parameters, drivers or a run, so that no file alone can give them.
// Those of tests are in testdata/test.
var elsewhere = []string{"bad-test", "not-mocked", "test-failed", "bad-amount", "bad-code", "expression-value", "missing-param", "missing-value", "stage-failed", "target-cannot", "unknown-kind", "unknown-profile"}

// codeInGo finds codes where findings are made.
var codeInGo = regexp.MustCompile(`(?:\.(?:find|finding|value|key|advise|atKey|atValue|bad|within|inWorkspace)\([^"\n]*?|Code: +|diag\.Code\(|what\(|Code[A-Z]\w+ += )"([a-z]+(?:-[a-z]+)*)"`)

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

// Each page shows a file that gives the code and one that does not.
func TestPagesAreTrue(t *testing.T) {
	fence := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, code := range findings.Codes() {
		page, _ := findings.Page(code)
		if !strings.HasPrefix(page, "# "+code+"\n") {
			t.Errorf("%s: the page begins with another title", code)
		}
		examples := fence.FindAllStringSubmatch(page, -1)
		if slices.Contains(elsewhere, code) {
			continue
		}
		if len(examples) != 2 {
			t.Errorf("%s: %d examples, want a wrong and a right one", code, len(examples))
			continue
		}
		if _, fs := checkFile(t, "example.yaml", []byte(examples[0][1])); !has(fs, code) {
			t.Errorf("%s: the example does not give it, but %v", code, fs)
		}
		if _, fs := checkFile(t, "example.yaml", []byte(examples[1][1])); len(fs) > 0 {
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
