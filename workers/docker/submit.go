package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// step is called between the steps of Submit, so that tests can die or sleep there.
var step = func(name string) {}

// submission is one call of Submit.
type submission struct {
	*engine
	driver Driver
	owner  string
	target target.Target
	s      settings
	job    target.Job
	in     target.Blobs
	port   int    // of the ranks
	path   string // PATH of the image, when the job finds an environment of Python; else empty

	launched bool // it may have been started
}

// Submit implements target.Driver.
func (d Driver) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	if !target.ValidID(job.ID) {
		return fmt.Errorf("%q cannot name a job: use lower-case letters, digits and . _ - and at most 200 of them: %w", job.ID, target.ErrPermanent)
	}
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	e, err := open(s.address)
	if err != nil {
		return err
	}
	owner, err := d.owner()
	if err != nil {
		return err
	}
	if err := d.rememberHost(s.address); err != nil {
		return err
	}
	// Many submissions of a job in one process would make as many containers for it.
	leave, err := enter(ctx, e.host+" "+job.ID)
	if err != nil {
		return err
	}
	defer leave()
	sub := submission{engine: e, driver: d, owner: owner, target: t, s: s, job: job, in: in}
	sub.port = sub.somePort()
	switch err := sub.run(ctx); {
	case err == nil:
		return nil
	case sub.launched:
		return fmt.Errorf("submit job %q: %w", job.ID, err)
	default:
		return fmt.Errorf("submit job %q: %w", job.ID, target.Untouched(err))
	}
}

// most is how often a submission begins anew because another was in its way. None is
// more than twice or thrice.
const most = 10

// run goes on until the job was started, by whomever, or is not to be.
func (s *submission) run(ctx context.Context) error {
	for range most {
		f, err := s.find(ctx, s.job.ID)
		if err != nil {
			return err
		}
		if f.box != nil && started(f.box) || f.box == nil && f.marked {
			return nil // it has run, or is lost, or was cleaned
		}
		if _, stopped, err := s.wish(ctx, s.job.ID); stopped || err != nil {
			return err
		}
		var done bool
		if f.box != nil {
			done, err = s.takeOver(ctx, f.box)
		} else {
			done, err = s.begin(ctx)
		}
		if done || err != nil {
			return err
		}
	}
	return errors.New("other submissions of it are always in the way")
}

// begin makes a container and starts it, unless another submission was sooner.
func (s *submission) begin(ctx context.Context) (done bool, err error) {
	draft, name, err := s.draft(ctx)
	if err != nil {
		return false, err
	}
	step("drafted")
	elected, err := s.elect(ctx, s.owner, s.job.ID, draft)
	if err != nil {
		return false, err // it may be elected: whoever comes next sees
	}
	step("elected")
	if elected != draft {
		return false, s.drop(ctx, draft)
	}
	if s.job.Needs.GPUs > 0 && s.job.Port == 0 {
		return false, nil // which finds it, and borrows
	}
	return s.launch(ctx, name)
}

// takeOver starts the container of a submission that died, or sleeps.
func (s *submission) takeOver(ctx context.Context, box *container.InspectResponse) (done bool, err error) {
	if r, err := recordOf(*box); err != nil || r.GPUs > 0 {
		if err != nil {
			return false, err
		}
		s.launched = true // whoever looks may start it from here on
		done, _, err := s.employ(ctx, box, r)
		return done, err
	}
	name, box, err := s.rename(ctx, s.job.ID, box.ID)
	if err != nil || box == nil {
		return false, err
	}
	step("taken")
	if started(box) {
		return true, nil
	}
	return s.launch(ctx, name)
}

// rename gives a container a name that only the caller knows, so that nobody else can
// start it from now on, and looks how it is then. There is none when it was removed.
func (e *engine) rename(ctx context.Context, id, container string) (string, *container.InspectResponse, error) {
	name := containerName(id, token())
	_, err := e.ContainerRename(ctx, container, client.ContainerRenameOptions{NewName: name})
	if errdefs.IsNotFound(err) {
		return name, nil, nil
	}
	if err != nil {
		return name, nil, e.trouble("take over the container", err)
	}
	box, err := e.inspect(ctx, container)
	return name, box, err
}

// launch starts the container of that name. It is done unless another took the name.
func (s *submission) launch(ctx context.Context, name string) (done bool, err error) {
	// A Cancel that comes after this look takes the name.
	if _, stopped, err := s.wish(ctx, s.job.ID); stopped || err != nil {
		return stopped, err
	}
	if len(s.job.Secrets) > 0 {
		err := s.send(ctx, name, s.confide)
		if errdefs.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("hand over the secrets: %w", err)
		}
	}
	step("armed")
	s.launched = true
	_, err = s.ContainerStart(ctx, name, client.ContainerStartOptions{})
	step("started")
	switch {
	case err == nil || errdefs.IsNotModified(err):
		return true, nil
	case errdefs.IsNotFound(err) && !s.exists(ctx, name):
		return false, nil // another took the name
	}
	// The secrets are of no use to a container that cannot start.
	if len(s.job.Secrets) > 0 && !client.IsErrConnectionFailed(err) {
		err = errors.Join(err, s.send(ctx, name, overwriteSecrets))
	}
	return false, s.unstartable(err)
}

func (s *submission) exists(ctx context.Context, name string) bool {
	box, err := s.inspect(ctx, name)
	return err != nil || box != nil
}

// unstartable puts into words why the engine could not start a container. What runs
// it answers with these words whether the program, a device or a folder is missing.
func (s *submission) unstartable(err error) error {
	if client.IsErrConnectionFailed(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return s.trouble("start the container", err)
	}
	return fmt.Errorf("the container engine at %q cannot start it: %w: %w", s.host, err, target.ErrPermanent)
}

// discard removes a container that came to nothing, also when time is up.
func (e *engine) discard(container string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return e.drop(ctx, container)
}
