// Package targettest is the exam that every driver sits. A rule of the contract
// in package target that is not asked here is only a wish.
package targettest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Harness lends a driver and a target to run jobs on.
type Harness struct {
	Driver target.Driver
	Target target.Target
	// Other returns a driver for the same target that shares no memory with Driver, as in
	// another program; nil: Driver has none that it could share.
	Other func(t *testing.T) target.Driver
	// Host is the host environment of the jobs; it has at least a PATH.
	Host map[string]string
	// Shared is a folder that both the test and the jobs see under this path. The
	// questions that count starts or look for processes need one.
	Shared string
	// Folder is where the target keeps what it knows of jobs, when the test can see
	// it: it is searched for secrets.
	Folder string
	// Image is a container image with a POSIX shell that the target can run; a target
	// that says it runs images needs one.
	Image string
	// KillServing ends all processes at once that answer for endpoints, but for the
	// instances behind them; nil: nothing serves endpoints here.
	KillServing func(t *testing.T)
	// Local says that a job's $$ is the number by which the test sees the same process,
	// so that it can be looked up, and killed. That is not so in a PID namespace or a
	// container, though they are under the same kernel.
	Local bool
	// Skip gives the reason why a question cannot be asked here, by its name.
	Skip map[string]string
	// Patience bounds the wait for a job to end; zero means 30 seconds.
	Patience time.Duration
}

// RunServing asks of the exam only what concerns endpoints, for targets on which the rest
// of it is not to be asked again.
func RunServing(t *testing.T, lend func(t *testing.T) Harness) {
	run(t, lend, serverQuestions, routerQuestions)
}

type question struct {
	name string
	ask  func(t *testing.T, h Harness)
}

// Run examines a driver. lend is called once for each question.
func Run(t *testing.T, lend func(t *testing.T) Harness) {
	run(t, lend, kindQuestions, endQuestions, onceQuestions, dataQuestions, largeQuestions, streamQuestions, hintQuestions, stopQuestions, rankQuestions, launchQuestions, environmentQuestions, secretQuestions, checkpointQuestions, evictQuestions, sweepQuestions, managerQuestions, serverQuestions, routerQuestions)
}

func run(t *testing.T, lend func(t *testing.T) Harness, parts ...[]question) {
	for _, part := range parts {
		for _, q := range part {
			t.Run(q.name, func(t *testing.T) {
				h := lend(t)
				if why := h.Skip[q.name]; why != "" {
					t.Skipf("SKIP: %s", why)
				}
				q.ask(t, h)
			})
		}
	}
}

// Grace is the grace of the jobs in the exam unless a question is about it.
const grace = 10 * time.Second

// job returns a job that runs script.
func (h Harness) job(id, script string) target.Job {
	return target.Job{ID: id, Script: script, Host: h.Host, Grace: grace}
}

func (h Harness) submit(t *testing.T, j target.Job, in target.Blobs) {
	t.Helper()
	if in == nil {
		in = &Blobs{}
	}
	// The job is cancelled on the way out, so that a failed exam leaves nothing running.
	t.Cleanup(func() { h.abandon(j.ID) })
	if err := h.Driver.Submit(t.Context(), h.Target, j, in); err != nil {
		t.Fatalf("submit %s: %v", j.ID, err)
	}
}

func (h Harness) abandon(id string) {
	ctx := context.Background() // that of the test is over
	if st, err := h.Driver.Status(ctx, h.Target, id); err != nil || st.State.Ended() {
		return
	}
	_ = h.Driver.Cancel(ctx, h.Target, id, target.CauseCancel)
	for end := time.Now().Add(2 * grace); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st, err := h.Driver.Status(ctx, h.Target, id); err != nil || st.State.Ended() {
			return
		}
	}
}

func (h Harness) status(t *testing.T, id string) target.Status {
	t.Helper()
	st, err := h.Driver.Status(t.Context(), h.Target, id)
	if err != nil {
		t.Fatalf("status of %s: %v", id, err)
	}
	return st
}

// wait waits for the end of a job and checks that its state only moves down.
func (h Harness) wait(t *testing.T, id string) target.Status {
	t.Helper()
	running := false
	for end := time.Now().Add(h.patience()); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		st := h.status(t, id)
		if running && st.State == target.Waiting {
			t.Fatalf("job %s went from running back to waiting", id)
		}
		running = running || st.State == target.Running
		if st.State.Ended() {
			return h.stays(t, id, st)
		}
	}
	t.Fatalf("job %s did not end: %+v, log %q", id, h.status(t, id), h.log(t, id))
	return target.Status{}
}

func (h Harness) patience() time.Duration {
	if h.Patience == 0 {
		return 30 * time.Second
	}
	return h.Patience
}

// stays checks that an end, once reported, is the end.
func (h Harness) stays(t *testing.T, id string, st target.Status) target.Status {
	t.Helper()
	again := h.status(t, id)
	if again.State != st.State || again.Exit != st.Exit || again.Cause != st.Cause || !again.End.Equal(st.End) {
		t.Errorf("the end of job %s changed from %+v to %+v", id, st, again)
	}
	return st
}

func (h Harness) run(t *testing.T, j target.Job, in target.Blobs) target.Status {
	t.Helper()
	h.submit(t, j, in)
	return h.wait(t, j.ID)
}

// succeed runs j and fails the test unless it succeeds.
func (h Harness) succeed(t *testing.T, j target.Job, in target.Blobs) {
	t.Helper()
	if st := h.run(t, j, in); st.State != target.Succeeded {
		t.Fatalf("job %s: got %+v, log %q", j.ID, st, h.log(t, j.ID))
	}
}

func (h Harness) cancel(t *testing.T, id string) {
	t.Helper()
	if err := h.Driver.Cancel(t.Context(), h.Target, id, target.CauseCancel); err != nil {
		t.Fatalf("cancel %s: %v", id, err)
	}
}

func (h Harness) read(t *testing.T, id string, s target.Stream, offset int64) (string, int64) {
	t.Helper()
	var w bytes.Buffer
	n, err := h.Driver.Read(t.Context(), h.Target, id, s, offset, &w)
	if err != nil {
		t.Fatalf("read %+v of %s: %v", s, id, err)
	}
	return w.String(), n
}

func (h Harness) log(t *testing.T, id string) string {
	t.Helper()
	text, _ := h.read(t, id, target.Stream{Name: target.Log}, 0)
	return text
}

func (h Harness) collect(t *testing.T, id string, out target.Blobs) target.Results {
	t.Helper()
	r, err := h.Driver.Collect(t.Context(), h.Target, id, out)
	if err != nil {
		t.Fatalf("collect %s: %v", id, err)
	}
	return r
}

// shared returns a path in the shared folder, or skips the test.
func (h Harness) shared(t *testing.T, name string) string {
	t.Helper()
	if h.Shared == "" {
		t.Skip("SKIP: the test and this target share no folder")
	}
	return filepath.Join(h.Shared, name)
}

// appears waits for a whole line in the file at path and returns it.
func appears(t *testing.T, h Harness, id, path string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("job %s wrote nothing to %s: %+v, log %q", id, path, h.status(t, id), h.log(t, id))
	return ""
}

// word quotes s for a POSIX shell.
func word(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
