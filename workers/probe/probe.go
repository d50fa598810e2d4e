// Package probe tries a target with tiny real jobs: all that a stage needs of it, in
// seconds.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// The steps of a trial, in their order. Each is one promise of the contract.
const (
	Check  = "check"  // the driver says that the target can be used
	Submit = "submit" // a job is taken, with its code and an input
	Status = "status" // its end is told, and is a success
	Log    = "log"    // what it printed can be read
	Output = "output" // what it made comes back under the digest that it must have
	Cancel = "cancel" // a job that runs is stopped
	Clean  = "clean"  // nothing is left of either
)

// Steps are all of them.
func Steps() []string { return []string{Check, Submit, Status, Log, Output, Cancel, Clean} }

// Options say how a target is tried.
type Options struct {
	ID    string            // begins the ids of the jobs; it must never have been used before
	Image string            // the container image of the jobs; empty: what the target has
	Host  map[string]string // the part of the shell's environment that jobs start from
	Blobs target.Blobs      // where input and output go
}

// Step is what came of one step.
type Step struct {
	Name string
	Took time.Duration
	Err  error // what is missing and what to do about it; nil: it went well
}

// Try tries t until a step does not go well, and returns the steps that were begun. It
// leaves no job behind, also when ctx ends on the way.
func Try(ctx context.Context, d target.Driver, t target.Target, o Options) []Step {
	p := &trial{d: d, t: t, o: o}
	defer p.abandon(ctx)
	var steps []Step
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{{Check, p.check}, {Submit, p.submit}, {Status, p.status}, {Log, p.log}, {Output, p.output}, {Cancel, p.cancel}, {Clean, p.clean}} {
		began := time.Now()
		err := s.do(ctx)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("it took too long, or was interrupted: %w", err)
		}
		steps = append(steps, Step{s.name, time.Since(began), err})
		if err != nil {
			break
		}
	}
	return steps
}

// trial is one of a target, which submits two jobs: one that does its work, and one
// that is stopped.
type trial struct {
	d       target.Driver
	t       target.Target
	o       Options
	token   target.Ref // the input of the first job, and what its output must be
	results target.Results
	jobs    []string // that were submitted, or may have been
}

func (p *trial) worker() string  { return p.o.ID + ".work.1" }
func (p *trial) sleeper() string { return p.o.ID + ".sleep.1" }

// word is what the first job is given, in no two trials the same.
func (p *trial) word() string { return "amlflow was here: " + p.o.ID + "\n" }

// work prints its input and makes a copy of it. The code is there when the script is.
const work = `cat "$AMLFLOW_INPUT_WORD"
cp "$AMLFLOW_INPUT_WORD" "$AMLFLOW_OUTPUT_COPY"
printf '{"two": 2}' >"$AMLFLOW_OUTPUTS"
`

func (p *trial) check(ctx context.Context) error { return p.d.Check(ctx, p.t) }

func (p *trial) submit(ctx context.Context) (err error) {
	if p.token, err = p.o.Blobs.Put(ctx, strings.NewReader(p.word())); err != nil {
		return err
	}
	script, err := p.o.Blobs.Put(ctx, strings.NewReader(work))
	if err != nil {
		return err
	}
	code, err := target.JoinTree(ctx, p.o.Blobs, []target.Part{{Name: "work.sh", Ref: script}})
	if err != nil {
		return err
	}
	j := p.job(p.worker(), ". ./work.sh")
	j.Code = code
	j.Inputs = []target.Artifact{{Name: "word", Type: target.File, Ref: p.token}}
	j.Outputs = []target.Artifact{{Name: "copy", Type: target.File}}
	return p.hand(ctx, j)
}

// grace is how long a job may take to stop by itself. The sleeper does so at once.
const grace = 5 * time.Second

func (p *trial) job(id, script string) target.Job {
	j := target.Job{ID: id, Script: script, Host: p.o.Host, Grace: grace}
	if p.o.Image != "" && p.d.Can(p.t).Images {
		j.Environment = &target.Environment{Image: p.o.Image}
	}
	return j
}

func (p *trial) hand(ctx context.Context, j target.Job) error {
	p.jobs = append(p.jobs, j.ID)
	return p.d.Submit(ctx, p.t, j, p.o.Blobs)
}

func (p *trial) status(ctx context.Context) error {
	st, err := p.until(ctx, p.worker(), target.State.Ended)
	if err != nil {
		return err
	}
	if st.State != target.Succeeded {
		return fmt.Errorf("a job that prints a line and copies a file %s: %s%s", st.State, st.Reason, p.lastWords(ctx))
	}
	return nil
}

// until looks at a job until its state is what is waited for.
func (p *trial) until(ctx context.Context, id string, reached func(target.State) bool) (target.Status, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var hint <-chan struct{}
		if w, ok := p.d.(target.Waiter); ok {
			hint = w.Wait(p.t, id)
		}
		st, err := p.d.Status(ctx, p.t, id)
		if err != nil || reached(st.State) || st.State.Ended() {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, errors.Join(fmt.Errorf("the job is %s%s: if the target is only busy, try with a longer --timeout", st.State, because(st.Reason)), ctx.Err())
		case <-hint:
		case <-time.After(pause):
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// lastWords is what the first job printed, as far as it can be read.
func (p *trial) lastWords(ctx context.Context) string {
	text, err := p.read(ctx, p.worker())
	if err != nil || strings.TrimSpace(text) == "" {
		return ""
	}
	return "; it printed: " + strings.TrimSpace(text)
}

func (p *trial) read(ctx context.Context, id string) (string, error) {
	var b strings.Builder
	_, err := p.d.Read(ctx, p.t, id, target.Stream{Name: target.Log}, 0, &b)
	return b.String(), err
}

func (p *trial) log(ctx context.Context) error {
	text, err := p.read(ctx, p.worker())
	if err == nil && text != p.word() {
		err = fmt.Errorf("the log is %.200q, and the job printed %q: what else its shell prints at its start must be switched off", text, p.word())
	}
	return err
}

func (p *trial) output(ctx context.Context) (err error) {
	if p.results, err = p.d.Collect(ctx, p.t, p.worker(), p.o.Blobs); err != nil {
		return err
	}
	if got := p.results.Artifacts["copy"]; got != p.token {
		return fmt.Errorf("a file that was copied came back as %q, and not as %q: see whether the disk of the target is full or damaged", got, p.token)
	}
	if got := strings.ReplaceAll(string(p.results.Values), " ", ""); got != `{"two":2}` {
		return fmt.Errorf("the values came back as %q, and not as {\"two\": 2}: see whether the disk of the target is full or damaged", got)
	}
	return nil
}

func (p *trial) cancel(ctx context.Context) error {
	id := p.sleeper()
	if err := p.hand(ctx, p.job(id, "exec sleep 3600")); err != nil {
		return err
	}
	running := func(s target.State) bool { return s == target.Running }
	if st, err := p.until(ctx, id, running); err != nil || st.State != target.Running {
		return cmp.Or(err, fmt.Errorf("a job that sleeps %s instead of running: %s", st.State, st.Reason))
	}
	if err := p.d.Cancel(ctx, p.t, id, target.CauseCancel); err != nil {
		return err
	}
	st, err := p.until(ctx, id, target.State.Ended)
	if err == nil && st.State != target.Cancelled {
		err = fmt.Errorf("a job that was cancelled %s: %s", st.State, st.Reason)
	}
	return err
}

func (p *trial) clean(ctx context.Context) error {
	for _, id := range p.jobs {
		if err := p.d.Clean(ctx, p.t, id); err != nil {
			return err
		}
		if st, err := p.d.Status(ctx, p.t, id); err != nil || st.State != target.Lost {
			return cmp.Or(err, fmt.Errorf("job %q is still %s after it was removed", id, st.State))
		}
	}
	p.jobs = nil
	return nil
}

// abandonPatience bounds how long the jobs of a trial that did not go well may take to end.
const abandonPatience = 15 * time.Second

// abandon ends and removes what a trial has left, as far as the target lets it.
func (p *trial) abandon(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), abandonPatience)
	defer stop()
	for _, id := range p.jobs {
		if p.d.Cancel(ctx, p.t, id, target.CauseCancel) != nil {
			continue
		}
		if _, err := p.until(ctx, id, target.State.Ended); err == nil {
			_ = p.d.Clean(ctx, p.t, id) // the target has said already what is wrong with it
		}
	}
}
