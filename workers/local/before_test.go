package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// A job whose folder an earlier version laid out is lost, and is not started again.
func TestAJobOfAnEarlierVersionIsNotStartedAgain(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	rank := filepath.Join(d.Dir, "jobs", "r.a.1", "ranks", "0")
	if err := os.MkdirAll(rank, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{filepath.Join(rank, "starting"): "boot\n", filepath.Join(d.Dir, "jobs", "r.a.1", "job.json"): `{"job":{"id":"r.a.1","script":"true"},"needs":{"nodes":1}}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	started := filepath.Join(t.TempDir(), "started")
	here := target.Target{Name: "here", Kind: "local"}
	if err := d.Submit(t.Context(), here, target.Job{ID: "r.a.1", Script: "touch " + started}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := d.Status(t.Context(), here, "r.a.1")
	if err != nil || st.State != target.Lost {
		t.Errorf("it is %+v, %v", st, err)
	}
	if exists(started) || exists(filepath.Join(d.Dir, "jobs", "r.a.1", "life")) {
		t.Error("it was started again")
	}
}
