package local

import (
	"context"
	"os"
	"testing"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A record that the machine forgot, or half of it, is written again; unless the job
// was started, which is then lost and never starts again.
func TestATornRecord(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "half": `{"job":{"id":"job","scr`, "zeros": "\x00\x00\x00\x00"} {
		for _, started := range []bool{false, true} {
			d := driver(t)
			f, _ := d.folder("job")
			if err := os.MkdirAll(f.path("code"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.path("job.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want := target.Succeeded
			if started {
				want = target.Lost
				if err := os.WriteFile(f.path("life"), []byte("starting another-boot\nstarted 1\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			job := target.Job{ID: "job", Script: "echo x >>" + d.Dir + "/starts$RANK", Host: host(), Needs: target.Resources{Nodes: 2}}
			if err := d.Submit(t.Context(), local(`{"nodes": 2}`), job, &targettest.Blobs{}); err != nil {
				t.Fatal(err)
			}
			st := wait(t, d)
			if n := starts(d, 0) + starts(d, 1); st.State != want || started && (n > 0 || jobdir.Started(f.rank(1))) || !started && n != 2 {
				t.Errorf("%s, started %v: got %+v after %d starts", name, started, st, n)
			}
		}
	}
}

// Many clean and submit at once; in the end nothing is there, and nothing starts.
func TestManyClean(t *testing.T) {
	d := driver(t)
	job := lineJob(t, d, 1)
	in, _, err := code()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Submit(t.Context(), local(""), job, in); err != nil {
		t.Fatal(err)
	}
	wait(t, d)
	errs := make(chan error)
	for i := range 20 {
		go func() {
			if i%3 == 0 {
				errs <- d.Submit(context.Background(), local(""), job, in)
				return
			}
			errs <- d.Clean(context.Background(), local(""), "job")
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := d.Clean(t.Context(), local(""), "job"); err != nil {
		t.Error(err)
	}
	f, _ := d.folder("job")
	if st, err := d.Status(t.Context(), local(""), "job"); err != nil || st.State != target.Lost || f.exists() || starts(d, 0) != 1 || jobdir.Started(f.rank(0)) {
		t.Errorf("got %+v, %v, %d starts", st, err, starts(d, 0))
	}
}
