package dummy

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

var here = target.Target{Name: "here", Kind: "dummy"}

func submit(t *testing.T, d *Driver, j target.Job) {
	t.Helper()
	if err := d.Submit(t.Context(), here, j, nil); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, d *Driver, id string) target.Status {
	t.Helper()
	st, err := d.Status(t.Context(), here, id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestEnds(t *testing.T) {
	for script, want := range map[string]target.Status{
		"":                    {State: target.Succeeded},
		"ok":                  {State: target.Succeeded},
		"log a then fail 3":   {State: target.Failed, Exit: 3, Cause: target.CauseExit},
		"fail $CODE":          {State: target.Failed, Exit: 75, Cause: target.CauseExit},
		"signal 9":            {State: target.Failed, Exit: 137, Signal: 9, Cause: target.CauseSignal},
		"oom":                 {State: target.Failed, Exit: 137, Signal: 9, Cause: target.CauseOOM},
		"unstarted":           {State: target.Failed, Exit: 127, Cause: target.CauseStart},
		"lost":                {State: target.Lost, Cause: target.CauseLost},
		"slow 1h":             {State: target.Running},
		"hang\nfail 2":        {State: target.Running},
		"slow 1ns then log x": {State: target.Succeeded},
	} {
		d := New()
		submit(t, d, target.Job{ID: "job", Script: script, Env: map[string]string{"CODE": "75"}})
		got := look(t, d, "job")
		if got.State != want.State || got.Exit != want.Exit || got.Signal != want.Signal || got.Cause != want.Cause || (got.Reason != "") != (want.Cause != "") {
			t.Errorf("%q: got %+v, want %+v", script, got, want)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for _, script := range []string{"nonsense", "fail x", "slow", "fail-submit", "fail-submit x"} {
		d := New()
		err := d.Submit(t.Context(), here, target.Job{ID: "job", Script: script}, nil)
		if !errors.Is(err, target.ErrPermanent) || d.Starts("job") != 0 {
			t.Errorf("%q: got %v", script, err)
		}
	}
}

func TestSubmissions(t *testing.T) {
	d := New()
	j := target.Job{ID: "job", Script: "fail-submit 2 then ok"}
	for range 2 {
		if err := d.Submit(t.Context(), here, j, nil); err == nil || errors.Is(err, target.ErrPermanent) {
			t.Fatalf("got %v", err)
		}
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { submit(t, d, j) })
	}
	all.Wait()
	if d.Starts("job") != 1 || d.Submissions("job") != 52 || len(d.Jobs()) != 1 {
		t.Errorf("%d starts, %d submissions, %v", d.Starts("job"), d.Submissions("job"), d.Jobs())
	}
}

func TestHangAndRelease(t *testing.T) {
	d := New()
	submit(t, d, target.Job{ID: "job", Script: "hang then fail 2"})
	d.Release("job")
	if st := look(t, d, "job"); st.Exit != 2 || st.End.Before(st.Start) {
		t.Errorf("got %+v", st)
	}
}

func TestStops(t *testing.T) {
	d := New()
	cancel := func(id string) {
		t.Helper()
		if err := d.Cancel(t.Context(), here, id, target.CauseCancel); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, d, target.Job{ID: "running", Script: "hang"})
	cancel("running")
	cancel("before")
	submit(t, d, target.Job{ID: "before", Script: "ok"})
	for _, id := range []string{"running", "before"} {
		if st := look(t, d, id); st.State != target.Cancelled || st.Cause != target.CauseCancel {
			t.Errorf("%s: got %+v", id, st)
		}
	}
	if d.Starts("before") != 0 {
		t.Error("a job that was cancelled first was started")
	}
	submit(t, d, target.Job{ID: "ended", Script: "fail 3"})
	cancel("ended")
	if st := look(t, d, "ended"); st.Exit != 3 || st.State != target.Failed {
		t.Errorf("got %+v", st)
	}
	submit(t, d, target.Job{ID: "late", Script: "hang", Timeout: time.Nanosecond})
	time.Sleep(time.Millisecond)
	if st := look(t, d, "late"); st.Cause != target.CauseTimeout || st.State != target.Failed {
		t.Errorf("got %+v", st)
	}
}

func TestResults(t *testing.T) {
	d := New()
	submit(t, d, target.Job{ID: "job", Outputs: []target.Artifact{{Name: "data", Type: target.File}, {Name: "absent", Type: target.File}},
		Script: "log one\nlog two\nartifact data some text\nartifact other x\noutputs {\"n\": 3}\nmetrics {\"loss\": 1}\nmetrics {\"loss\": 0.5}"})
	out := &targettest.Blobs{}
	r, err := d.Collect(t.Context(), here, "job", out)
	if err != nil || out.Text(r.Artifacts["data"]) != "some text" || len(r.Artifacts) != 1 || string(r.Values) != `{"n": 3}` || string(r.Metrics) != "{\"loss\": 1}\n{\"loss\": 0.5}\n" || out.Text(r.Log) != "one\ntwo\n" {
		t.Errorf("got %+v, %v", r, err)
	}
	var w strings.Builder
	if n, err := d.Read(t.Context(), here, "job", target.Stream{Name: target.Log}, 4, &w); err != nil || n != 8 || w.String() != "two\n" {
		t.Errorf("got %q up to %d, %v", w.String(), n, err)
	}
}

// Secrets reach the script, and its log is stored as one.
func TestSecrets(t *testing.T) {
	d := New()
	submit(t, d, target.Job{ID: "job", Script: "log it is $TOKEN\nartifact data $TOKEN", Env: map[string]string{"TOKEN": "env"}, Secrets: map[string]string{"TOKEN": "hidden"}, Outputs: []target.Artifact{{Name: "data", Type: target.File}}})
	out := &targettest.LogBlobs{}
	r, err := d.Collect(t.Context(), here, "job", out)
	if err != nil || out.Text(r.Log) != "log: it is hidden\n" || out.Text(r.Artifacts["data"]) != "hidden" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestClean(t *testing.T) {
	d := New()
	submit(t, d, target.Job{ID: "job", Script: "hang"})
	if err := d.Clean(t.Context(), here, "job"); err == nil {
		t.Error("a running job was cleaned")
	}
	d.Release("job")
	for range 2 {
		if err := d.Clean(t.Context(), here, "job"); err != nil {
			t.Error(err)
		}
	}
	submit(t, d, target.Job{ID: "job", Script: "hang"})
	if st := look(t, d, "job"); st.State != target.Lost || d.Starts("job") != 1 {
		t.Errorf("got %+v after %d starts", st, d.Starts("job"))
	}
}

func TestSettings(t *testing.T) {
	d := New()
	able := target.Target{Name: "able", Kind: "dummy", Settings: []byte(`{"nodes": 4, "gpu": true, "python": true, "broken": "no power"}`)}
	if can := d.Can(able); can.Nodes != 4 || !can.GPU || !can.Python {
		t.Errorf("got %+v", can)
	}
	if err := d.Check(t.Context(), able); err == nil || err.Error() != "no power" {
		t.Errorf("got %v", err)
	}
	if err := d.Check(t.Context(), here); err != nil {
		t.Errorf("got %v", err)
	}
}
