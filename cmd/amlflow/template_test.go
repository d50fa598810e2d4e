package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/amlflow/amlflow/docs/findings"
	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/schema/diag"
)

// The pages about references show a file that gives the finding, and one that does not.
func TestPagesAboutReferencesAreTrue(t *testing.T) {
	fence := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, code := range []string{"bad-reference", "missing-template"} {
		page, _ := findings.Page(code)
		for i, example := range fence.FindAllStringSubmatch(page, -1) {
			file := filepath.Join(t.TempDir(), "example.pipeline.yaml")
			if err := os.WriteFile(file, []byte(example[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			_, found, err := engine.Prepare(t.Context(), file, engine.PrepareOptions{Home: t.TempDir(), Drivers: newProgram(nil, nil, nil).drivers()})
			if err != nil {
				t.Fatal(err)
			}
			given := slices.ContainsFunc(found, func(f diag.Finding) bool { return string(f.Code) == code })
			if i == 0 && !given || i == 1 && len(found) > 0 {
				t.Errorf("%s, example %d gives %v", code, i+1, found)
			}
		}
	}
}

func TestCI(t *testing.T) {
	for value, want := range map[string]bool{"": false, "0": false, "false": false, "No": false, "1": true, "true": true, "yes": true, "github": true} {
		if got := inCI(func(string) string { return value }); got != want {
			t.Errorf("CI=%q is %t", value, got)
		}
	}
}
