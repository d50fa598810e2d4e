package local

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/targettest"
)

// Of more metrics than are read at once the last lines count, and all are kept.
func TestVeryManyMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	all := strings.Repeat(`{"loss":1}`+"\n", 100) + `{"loss":2}` + "\n"
	if err := os.WriteFile(path, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	blobs := &targettest.Blobs{}
	end, ref, err := metrics(t.Context(), path, 30, blobs)
	if err != nil || string(end) != `{"loss":1}`+"\n"+`{"loss":2}`+"\n" {
		t.Fatalf("got %q, %v", end, err)
	}
	r, err := blobs.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != all || err != nil {
		t.Errorf("kept are %d bytes, %v", len(got), err)
	}
	if end, ref, err = metrics(t.Context(), path, 1<<20, blobs); string(end) != all || ref != "" || err != nil {
		t.Errorf("of few: %d bytes, %q, %v", len(end), ref, err)
	}
}
