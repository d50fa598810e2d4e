package engine_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/target"
)

// A run whose states are too large for its history keeps them in the store, with an excerpt
// of each, and of many no more than the last ones.
func TestALargeRunKeepsFewStates(t *testing.T) {
	c, _ := inside(t)
	var text strings.Builder
	text.WriteString("amlflow: v1\npipeline: p\nstages:\n")
	const quick = 4000
	for i := range quick {
		fmt.Fprintf(&text, "  quick%d: { run: ok }\n", i)
	}
	const slow = 12 // far enough apart that each is put on record
	for i := range slow {
		fmt.Fprintf(&text, "  slow%d: { run: slow 300ms, needs: [slow%d] }\n", i, i-1)
	}
	p := compiled(t, map[string]string{"pipeline.yaml": strings.Replace(text.String(), ", needs: [slow-1]", "", 1)}, map[string]target.Driver{"local": dummy.New()})
	store := t.TempDir()
	end, err := ended(t, c, flow.Input{Run: "large", Plan: *p, Store: store, Control: "q"})
	if err != nil {
		t.Fatal(err)
	}
	short, err := engine.ExcerptIn(t.Context(), end)
	if err != nil {
		t.Fatal(err)
	}
	if n := short.Others[target.Succeeded]; n != quick+slow-flow.ExcerptStages || len(short.Progress.Stages) != flow.ExcerptStages || short.Progress.Status != target.Succeeded {
		t.Errorf("the excerpt has %d stages and leaves %d out; the run %s", len(short.Progress.Stages), n, short.Progress.Status)
	}
	states, excerpts := 0, 0
	err = filepath.WalkDir(filepath.Join(store, "sha256"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil && info.Size() > 1<<20 {
				states++
			} else if err == nil && info.Size() > 20<<10 {
				excerpts++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if states == 0 || states > 3 || excerpts == 0 || excerpts > 3 {
		t.Errorf("%d states and %d excerpts are kept of more than %d", states, excerpts, slow)
	}
}
