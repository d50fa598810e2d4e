package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// A submission that goes on where another has died finds the record of the job,
// which has no secrets, and starts its ranks with those that it was given.
func TestSecretsOfASubmissionThatGoesOn(t *testing.T) {
	for _, at := range []string{"locked", "delivered", "filled", "started 0"} {
		t.Run(at, func(t *testing.T) {
			d := driver(t)
			_, ref, err := code()
			if err != nil {
				t.Fatal(err)
			}
			job := target.Job{ID: "job", Script: `echo "$TOKEN"`, Host: host(), Code: ref, Needs: target.Resources{Nodes: 2}}
			if err := worker(t, d, job, at).Run(); err == nil {
				t.Fatal("the worker did not die")
			}
			job.Secrets = map[string]string{"TOKEN": "hidden"}
			in, _, err := code()
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Submit(t.Context(), local(`{"nodes": 2}`), job, in); err != nil {
				t.Fatal(err)
			}
			wait(t, d)
			if got := log(t, d, 1); got != "hidden\n" {
				t.Errorf("rank 1 had %q", got)
			}
			if text, err := os.ReadFile(filepath.Join(d.Dir, "jobs/job/job.json")); err != nil || strings.Contains(string(text), "hidden") {
				t.Errorf("the record is %s, %v", text, err)
			}
		})
	}
}
