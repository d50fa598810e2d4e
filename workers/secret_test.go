package workers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/dummy"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

const hidden = "5up3r-hidden value"

// worker is one that knows a secret, and the store that it uses.
func worker(t *testing.T, d target.Driver, values map[string]string, err error) (*testsuite.TestActivityEnvironment, *targettest.Blobs) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env, store := suite.NewTestActivityEnvironment(), &targettest.Blobs{}
	a := &workers.Activities{
		Drivers: map[string]target.Driver{d.Kind().Name: d},
		Store:   func(string) (target.Blobs, error) { return store, nil },
		Secrets: func(context.Context, workers.Submission) (map[string]string, error) { return values, err },
	}
	a.Register(env)
	return env, store
}

func submission(kind string, j target.Job) workers.Submission {
	return workers.Submission{Target: target.Target{Name: "here", Kind: kind}, Job: j, Secrets: []workers.Secret{{Var: "TOKEN", Name: "token", Env: "TOKEN"}}}
}

func outcome(t *testing.T, env *testsuite.TestActivityEnvironment, activity string, s workers.Submission) workers.Outcome {
	t.Helper()
	v, err := env.ExecuteActivity(activity, s)
	if err != nil {
		t.Fatal(err)
	}
	var o workers.Outcome
	if err := v.Get(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// untold wants that neither what is recorded nor the log has the secret.
func untold(t *testing.T, o workers.Outcome, store *targettest.Blobs) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	log := store.Text(o.Log)
	for _, form := range []string{hidden, "5up3r", base64.StdEncoding.EncodeToString([]byte(hidden))} {
		if strings.Contains(string(text), form) || strings.Contains(log, form) {
			t.Errorf("it is told in %s, or in the log %q", text, log)
		}
	}
	return log
}

var stars = strings.Repeat("*", len(hidden))

func TestSecretsOfAJobAreHidden(t *testing.T) {
	d := local.Driver{Dir: t.TempDir()}
	env, store := worker(t, d, map[string]string{"TOKEN": hidden}, nil)
	s := submission("local", target.Job{
		ID: "run.stage.1", Host: map[string]string{"PATH": os.Getenv("PATH")},
		Script: `echo "it is $TOKEN"; printf %s "$TOKEN" | base64
printf '{"word": "<%s>", "list": ["%s", 1], "n": 3}' "$TOKEN" "$TOKEN" >"$AMLFLOW_OUTPUTS"
printf '{"%s": 1, "loss": 0.5}\n' "$TOKEN" >"$AMLFLOW_METRICS"
exit $CODE`,
	})
	s.Values = map[string]string{"word": "string", "list": "list", "n": "integer"}
	s.Job.Env = map[string]string{"CODE": "0"}
	o := outcome(t, env, workers.Run, s)
	if log := untold(t, o, store); o.State != target.Succeeded || !strings.HasPrefix(log, "it is "+stars+"\n****") || o.Values["word"] != "<"+stars+">" || o.Values["n"] != 3.0 || o.Metrics["loss"] != 0.5 || o.Metrics[stars] != 1 {
		t.Errorf("got %+v, log %q", o, log)
	}
	s.Job.ID, s.Job.Env = "run.stage.2", map[string]string{"CODE": "3"}
	o = outcome(t, env, workers.Run, s)
	if untold(t, o, store); o.Exit != 3 || len(o.Tail) != 2 || o.Tail[0] != "it is "+stars {
		t.Errorf("got %+v", o)
	}
	s.Job.ID, s.Job.Env = "run.stage.3", map[string]string{"CODE": "0"}
	s.Values = map[string]string{"word": "integer"}
	if o = outcome(t, env, workers.Run, s); o.Cause != workers.CauseOutput || !strings.Contains(o.Reason, "which is not of type integer") {
		t.Errorf("got %+v", o)
	}
	untold(t, o, store)
	if o = outcome(t, env, workers.Stop, s); o.State != target.Succeeded && o.Cause != workers.CauseOutput {
		t.Errorf("got %+v", o)
	}
	untold(t, o, store)
}

// A number is no text that could be masked, so that it is no result.
func TestNumberThatIsASecret(t *testing.T) {
	env, store := worker(t, dummy.New(), map[string]string{"PIN": "482913"}, nil)
	s := submission("dummy", target.Job{ID: "run.stage.1", Script: "outputs {\"n\": 482913}\nmetrics {\"m\": 482913, \"loss\": 1482913}\nlog $PIN"})
	s.Values, s.Metrics = map[string]string{"n": "integer"}, map[string]string{"m": "number"}
	o := outcome(t, env, workers.Run, s)
	if _, ok := o.Metrics["m"]; ok || o.Metrics["loss"] != 1482913 || o.Cause != workers.CauseOutput || strings.Contains(o.Reason, "482913") || store.Text(o.Log) != "******\n" {
		t.Errorf("got %+v, log %q", o, store.Text(o.Log))
	}
}

// telling is a driver that says what it should not.
type telling struct {
	*dummy.Driver
	submit, collect error
}

func (d telling) Submit(ctx context.Context, t target.Target, j target.Job, in target.Blobs) error {
	if d.submit != nil {
		return d.submit
	}
	return d.Driver.Submit(ctx, t, j, in)
}

func (d telling) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	st, err := d.Driver.Status(ctx, t, id)
	st.Reason, st.Notes = "because of "+hidden, []string{"note " + hidden}
	return st, err
}

func (d telling) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	if d.collect != nil {
		return target.Results{}, d.collect
	}
	return d.Driver.Collect(ctx, t, id, out)
}

func TestSecretsInWordsOfDriversAreHidden(t *testing.T) {
	said := errors.New("it said " + hidden)
	for name, d := range map[string]telling{
		"reason":          {},
		"lasting refusal": {submit: errors.Join(said, target.ErrPermanent)},
		"lasting loss":    {collect: errors.Join(said, target.ErrPermanent)},
	} {
		d.Driver = dummy.New()
		env, store := worker(t, d, map[string]string{"TOKEN": hidden}, nil)
		o := outcome(t, env, workers.Run, submission("dummy", target.Job{ID: "run.stage.1", Script: "fail 3"}))
		untold(t, o, store)
		if !strings.Contains(o.Reason, stars) || o.State != target.Failed {
			t.Errorf("%s: got %+v", name, o)
		}
	}
	for name, d := range map[string]telling{"refusal": {submit: said}, "loss": {collect: said}} {
		d.Driver = dummy.New()
		env, _ := worker(t, d, map[string]string{"TOKEN": hidden}, nil)
		_, err := env.ExecuteActivity(workers.Run, submission("dummy", target.Job{ID: "run.stage.1", Script: "fail 3"}))
		failure := temporal.GetDefaultFailureConverter().ErrorToFailure(err)
		if err == nil || strings.Contains(failure.String(), "5up3r") || !strings.Contains(failure.String(), stars) {
			t.Errorf("%s: Temporal is told %v", name, failure)
		}
	}
}

func TestNoSecretNoStart(t *testing.T) {
	d := dummy.New()
	env, _ := worker(t, d, nil, errors.New(`secret "token": it is nowhere`))
	o := outcome(t, env, workers.Run, submission("dummy", target.Job{ID: "run.stage.1", Script: "ok"}))
	if o.State != target.Failed || o.Cause != target.CauseStart || o.Reason != `secret "token": it is nowhere` || d.Submissions("run.stage.1") != 0 {
		t.Errorf("got %+v", o)
	}
}

// A worker that takes over cannot have the secrets any more: the job goes on, and
// nothing that it writes is kept unmasked.
func TestSecretsThatAreGone(t *testing.T) {
	d := dummy.New()
	env, store := worker(t, d, nil, errors.New(`secret "token": it is nowhere`))
	s := submission("dummy", target.Job{ID: "run.stage.1", Script: "log $TOKEN then hang then ok", Secrets: map[string]string{"TOKEN": hidden}})
	if err := d.Submit(t.Context(), s.Target, s.Job, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := env.ExecuteActivity(workers.Run, s); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v, want to be tried again", err)
	}
	o := outcome(t, env, workers.Stop, s)
	untold(t, o, store)
	if o.State != target.Cancelled || o.Log != "" || len(o.Notes) != 1 || !strings.Contains(o.Notes[0], "nowhere") {
		t.Errorf("got %+v", o)
	}
}

func TestForget(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env, got := suite.NewTestActivityEnvironment(), ""
	(&workers.Activities{Discard: func(run string) error { got = run; return nil }}).Register(env)
	if _, err := env.ExecuteActivity(workers.Forget, "run1"); err != nil || got != "run1" {
		t.Errorf("got %q, %v", got, err)
	}
}
