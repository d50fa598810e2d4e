package probe_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/probe"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

var here = target.Target{Name: "here", Kind: "local"}

func options() probe.Options {
	return probe.Options{ID: "trial", Host: map[string]string{"PATH": os.Getenv("PATH")}, Blobs: &targettest.Blobs{}}
}

// nothingLeft checks that no job is kept, and that none can be running then.
func nothingLeft(t *testing.T, d local.Driver) {
	t.Helper()
	kept, err := d.Kept(context.Background(), here)
	for _, k := range kept {
		if k.What == target.KeptJob || err != nil {
			t.Errorf("left behind: %+v, %v", k, err)
		}
	}
}

func TestATargetThatWorks(t *testing.T) {
	d := local.Driver{Dir: t.TempDir()}
	steps := probe.Try(t.Context(), d, here, options())
	var names []string
	for _, s := range steps {
		if s.Err != nil {
			t.Errorf("%s: %v", s.Name, s.Err)
		}
		names = append(names, s.Name)
	}
	if got, want := strings.Join(names, " "), strings.Join(probe.Steps(), " "); got != want {
		t.Errorf("took the steps %q, want %q", got, want)
	}
	nothingLeft(t, d)
}

// broken is a driver that breaks one promise.
type broken struct {
	target.Driver
	promise string
}

func (b broken) Check(ctx context.Context, t target.Target) error {
	if b.promise == probe.Check {
		return errors.New("it is switched off")
	}
	return b.Driver.Check(ctx, t)
}

func (b broken) Submit(ctx context.Context, t target.Target, j target.Job, in target.Blobs) error {
	switch b.promise {
	case probe.Submit:
		return errors.New("it is full")
	case probe.Status:
		j.Script = "echo lacks cp; exit 3"
	}
	return b.Driver.Submit(ctx, t, j, in)
}

func (b broken) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	if b.promise == probe.Log {
		_, _ = io.WriteString(w, "Welcome!\n")
	}
	return b.Driver.Read(ctx, t, id, s, offset, w)
}

func (b broken) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	r, err := b.Driver.Collect(ctx, t, id, out)
	if b.promise == probe.Output && err == nil {
		r.Artifacts["copy"], err = out.Put(ctx, strings.NewReader("half"))
	}
	return r, err
}

func (b broken) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	if b.promise == probe.Cancel {
		return errors.New("it does not stop")
	}
	return b.Driver.Cancel(ctx, t, id, why)
}

func (b broken) Clean(ctx context.Context, t target.Target, id string) error {
	if b.promise == probe.Clean {
		return nil
	}
	return b.Driver.Clean(ctx, t, id)
}

func TestABrokenPromiseIsNamed(t *testing.T) {
	for promise, want := range map[string]string{
		probe.Check:  "it is switched off",
		probe.Submit: "it is full",
		probe.Status: "failed: exit code 3; it printed: lacks cp",
		probe.Log:    `the log is "Welcome!\namlflow was here`,
		probe.Output: "came back as",
		probe.Cancel: "it does not stop",
		probe.Clean:  "is still succeeded after it was removed",
	} {
		t.Run(promise, func(t *testing.T) {
			d := local.Driver{Dir: t.TempDir()}
			steps := probe.Try(t.Context(), broken{d, promise}, here, options())
			last := steps[len(steps)-1]
			if last.Name != promise || last.Err == nil || !strings.Contains(last.Err.Error(), want) {
				t.Errorf("the last step is %s: %v", last.Name, last.Err)
			}
			if promise == probe.Cancel {
				stopped(t, d, "trial.sleep.1")
				return
			}
			if promise != probe.Clean {
				nothingLeft(t, d)
			}
		})
	}
}

// stopped cancels a job, and returns when nothing of it is alive.
func stopped(t *testing.T, d local.Driver, id string) {
	t.Helper()
	if err := d.Cancel(t.Context(), here, id, target.CauseCancel); err != nil {
		t.Fatal(err)
	}
	for {
		hint := d.Wait(here, id)
		st, err := d.Status(t.Context(), here, id)
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Ended() {
			return
		}
		select {
		case <-hint:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// asleep is a target that takes jobs and does not get to them until somebody gives up.
type asleep struct {
	target.Driver
	given *bool
}

func (a asleep) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	*a.given = true
	if err := ctx.Err(); err != nil {
		return err // as a target does that is far away
	}
	return a.Driver.Cancel(ctx, t, id, why)
}

func (a asleep) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	if *a.given {
		return a.Driver.Status(ctx, t, id)
	}
	return target.Status{State: target.Waiting, Reason: "3 jobs are before it"}, nil
}

func TestATrialThatIsInterruptedLeavesNothing(t *testing.T) {
	d := local.Driver{Dir: t.TempDir()}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	steps := probe.Try(ctx, asleep{d, new(bool)}, here, options())
	last := steps[len(steps)-1]
	if last.Name != probe.Status || !errors.Is(last.Err, context.DeadlineExceeded) || !strings.Contains(last.Err.Error(), "waiting (3 jobs are before it): if the target is only busy, try with a longer --timeout") {
		t.Errorf("the last step is %s: %v", last.Name, last.Err)
	}
	nothingLeft(t, d)
}
