package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/schema"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// Each case is a file as somebody wrote it, and as it should be.
func TestFormat(t *testing.T) {
	names, err := filepath.Glob("testdata/format/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(a.Files); i += 2 {
			in, want := a.Files[i], a.Files[i+1]
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+in.Name, func(t *testing.T) {
				text := strings.NewReplacer("·", " ", "→", "\t").Replace(string(in.Data))
				out, fs := schema.Format("f", []byte(text))
				got := []byte(strings.ReplaceAll(string(out), " \n", "·\n"))
				if fs.Bad() {
					t.Fatal(fs)
				}
				if *update {
					a.Files[i+1].Data = got
				} else if d := cmp.Diff(string(want.Data), string(got)); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
				again, fs := schema.Format("f", out)
				if d := cmp.Diff(string(out), string(again)); d != "" || fs.Bad() {
					t.Errorf("the second time it differs: %v\n%s", fs, d)
				}
			})
		}
		if *update {
			if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
