package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// Jobs outlive the program that started them, and the next one reads what they left. The
// folders in testdata/jobs are as they were on 26 November 2026, of a job that nobody has
// looked at since its end and of one that somebody has. They are never made again: when
// this test fails, the program must learn to read them.
func TestJobsOfAnEarlierVersionAreRead(t *testing.T) {
	for _, id := range []string{"ended.a.1", "read.a.1"} {
		t.Run(id, func(t *testing.T) {
			d := Driver{Dir: t.TempDir()}
			if err := os.CopyFS(filepath.Join(d.Dir, "jobs", id), os.DirFS(filepath.Join("testdata", "jobs", id))); err != nil {
				t.Fatal(err)
			}
			here := target.Target{Name: "here", Kind: "local"}
			if err := d.Submit(t.Context(), here, target.Job{ID: id, Script: "exit 0"}, nil); err != nil {
				t.Fatal(err)
			}
			st, err := d.Status(t.Context(), here, id)
			if err != nil || st.State != target.Failed || st.Exit != 3 {
				t.Errorf("it is %+v, %v; want a failure with 3", st, err)
			}
			var log strings.Builder
			if _, err := d.Read(t.Context(), here, id, target.Stream{Name: target.Log}, 0, &log); err != nil || log.String() != "one\ntwo\n" {
				t.Errorf("its log is %q, %v", log.String(), err)
			}
			res, err := d.Collect(t.Context(), here, id, &targettest.Blobs{})
			if err != nil || strings.TrimSpace(string(res.Values)) != `{"loss": 0.5}` || res.Artifacts["model"] == "" || !strings.Contains(string(res.Metrics), `"accuracy"`) {
				t.Errorf("its results are %+v, %v", res, err)
			}
		})
	}
}

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
