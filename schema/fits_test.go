package schema

import (
	"os"
	"path/filepath"
	"testing"
)

// The quick answer is the validator's, for every golden file as every kind of file.
func TestFitAgreesWithTheValidator(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, name, data)
	}
}

func agree(t *testing.T, name string, data []byte) {
	t.Helper()
	s, _ := Read(name, data)
	if s.root == nil || s.Tree == refused {
		return
	}
	for _, kind := range []form{pipelineForm(), templateForm(), workspaceForm()} {
		wrong := kind.check().Validate(s.Tree)
		if quick := kind.fit.holds(s.Tree); quick != (wrong == nil) {
			t.Errorf("%s: it fits: %t, and the validator says %v", name, quick, wrong)
		}
		rest := kind.unfit(s)
		if still := rest != nil && kind.check().Validate(rest) != nil; still != (wrong != nil) {
			t.Errorf("%s: what is left has mistakes: %t, and the validator says %v", name, still, wrong)
		}
	}
}
