package local

import (
	"errors"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func prepared(t *testing.T, d Driver, job target.Job) {
	t.Helper()
	in, _, err := code()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(t.Context(), local(""), job, in); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, d Driver) target.State {
	t.Helper()
	st, err := d.Status(t.Context(), local(""), "job")
	if err != nil {
		t.Fatal(err)
	}
	return st.State
}

func TestAPreparedJobWaitsForItsStart(t *testing.T) {
	d := driver(t)
	for range 2 {
		prepared(t, d, lineJob(t, d, 0))
	}
	if got := state(t, d); got != target.Waiting || starts(d, 0) != 0 {
		t.Fatalf("it is %s after %d starts", got, starts(d, 0))
	}
	for range 2 {
		if err := d.Start(t.Context(), "job", nil); err != nil {
			t.Fatal(err)
		}
	}
	prepared(t, d, lineJob(t, d, 0))
	if st := wait(t, d); st.Exit != 7 || starts(d, 0) != 1 {
		t.Errorf("it was started %d times: %+v", starts(d, 0), st)
	}
}

func TestAPreparedJobThatIsCancelledNeverStarts(t *testing.T) {
	d := driver(t)
	prepared(t, d, lineJob(t, d, 0))
	if err := d.Cancel(t.Context(), local(""), "job", target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), "job", nil); err != nil {
		t.Fatal(err)
	}
	if got := state(t, d); got != target.Cancelled || starts(d, 0) != 0 {
		t.Errorf("it is %s after %d starts", got, starts(d, 0))
	}
}

// What is nowhere cannot be found again: somebody has to submit the job again.
func TestAJobWithoutItsSecretsIsNotStarted(t *testing.T) {
	d := driver(t)
	if err := d.Start(t.Context(), "job", nil); !errors.Is(err, ErrUnprepared) {
		t.Errorf("a job that nobody prepared: %v", err)
	}
	job := lineJob(t, d, 0)
	job.Secrets = map[string]string{"X_TOKEN": "hidden"}
	prepared(t, d, job)
	if err := d.Start(t.Context(), "job", nil); !errors.Is(err, ErrUnprepared) {
		t.Errorf("a job without its secrets: %v", err)
	}
	if err := d.Start(t.Context(), "job", job.Secrets); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.Exit != 7 || starts(d, 0) != 1 {
		t.Errorf("it was started %d times: %+v", starts(d, 0), st)
	}
}

func TestAnImpossibleJobIsRefusedWhenItIsPrepared(t *testing.T) {
	d := driver(t)
	job := target.Job{ID: "job", Script: "true", Env: map[string]string{"NUL": "a\x00b"}, Host: host()}
	if err := d.Prepare(t.Context(), local(""), job, &targettest.Blobs{}); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("got %v", err)
	}
}
