package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// found is what the engine knows of a job.
type found struct {
	marked bool // it may only be the one container, or none any more
	drafts bool // somebody is making it
	// box is the container that was started, or may be; nil: there is none.
	box *container.InspectResponse
}

// find looks for a job.
func (e *engine) find(ctx context.Context, id string) (f found, err error) {
	elected, marked, err := e.mark(ctx, id)
	if err != nil {
		return f, err
	}
	if marked {
		f.marked = true
		if elected != "" {
			f.box, err = e.inspect(ctx, elected)
		}
		return f, err
	}
	// Somebody may have removed the mark as a volume that no container uses.
	all, err := e.containers(ctx, id)
	if err != nil {
		return f, err
	}
	for _, c := range all {
		box, err := e.inspect(ctx, c.ID)
		if err != nil {
			return f, err
		}
		if box != nil && started(box) {
			return found{box: box}, nil
		}
		f.drafts = true
	}
	return f, nil
}

// inspectTries is how often a container is looked at whose process goes away meanwhile.
const inspectTries = 5

// inspect returns nil for a container that does not exist.
func (e *engine) inspect(ctx context.Context, container string) (*container.InspectResponse, error) {
	r, err := e.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	// Podman reads about the process of a container that ends just now, and gives up.
	for tries := 1; err != nil && tries < inspectTries && strings.Contains(err.Error(), "no such process"); tries++ {
		r, err = e.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	}
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, e.trouble("look at the container", err)
	}
	if r.Container.State == nil {
		return nil, fmt.Errorf("the container engine at %q does not say how container %q is", e.host, container)
	}
	return &r.Container, nil
}

// containers lists all containers of a job, drafts too.
func (e *engine) containers(ctx context.Context, id string) ([]container.Summary, error) {
	r, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled(labelJob, id)})
	return r.Items, e.trouble("list the containers of the job", err)
}

func labelled(name, value string) client.Filters {
	return make(client.Filters).Add("label", name+"="+value)
}

// started reports whether a container was ever started. The state alone does not tell:
// Podman may say "created" of one that ran before the machine was restarted.
func started(c *container.InspectResponse) bool {
	return c.State.Running || c.State.Pid > 0 || !moment(c.State.StartedAt).IsZero()
}

// stopping is what Podman says of a container while it stops it: neither that it runs
// nor that it has ended.
const stopping = "stopping"

// running reports whether a container is alive.
func running(c *container.InspectResponse) bool {
	return c.State.Running || c.State.Paused || c.State.Restarting || c.State.Status == stopping
}

// mark reads which container of a job may be started; "" when none may any more.
func (e *engine) mark(ctx context.Context, id string) (elected string, marked bool, err error) {
	labels, ok, err := e.labels(ctx, markName(id))
	return labels[labelContainer], ok, err
}

// elect makes the mark unless there is one, and returns which container it names.
func (e *engine) elect(ctx context.Context, owner, id, container string) (elected string, err error) {
	labels, err := e.volume(ctx, markName(id), map[string]string{labelJob: id, labelOwner: owner, labelContainer: container})
	return labels[labelContainer], err
}

// wish is the wish to end a job.
type wish struct {
	cause target.Cause
	at    time.Time // by the engine's clock
	asked time.Time // by the clock of who asked
}

// wish returns the first wish to end a job, if there is one.
func (e *engine) wish(ctx context.Context, id string) (wish, bool, error) {
	labels, ok, err := e.labels(ctx, wishName(id))
	return wish{cause: target.Cause(labels[labelCause]), at: moment(labels[labelAt]), asked: moment(labels[labelAsked])}, ok, err
}

// leaveWish makes the wish to end a job, unless there is one.
func (e *engine) leaveWish(ctx context.Context, owner, id string, why target.Cause) error {
	at, err := e.now(ctx)
	if err != nil {
		return err
	}
	_, err = e.volume(ctx, wishName(id), map[string]string{
		labelJob: id, labelOwner: owner, labelCause: string(why),
		labelAt: at.Format(time.RFC3339Nano), labelAsked: time.Now().UTC().Format(time.RFC3339Nano),
	})
	return err
}

// labels returns those of a volume, if there is one of that name.
func (e *engine) labels(ctx context.Context, name string) (map[string]string, bool, error) {
	r, err := e.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil, false, nil
	}
	return r.Volume.Labels, err == nil, e.trouble("look for the volume "+name, err)
}

// volume makes a volume unless there is one of that name, and returns the labels of
// the one that there is then. Many may do so at once.
func (e *engine) volume(ctx context.Context, name string, labels map[string]string) (map[string]string, error) {
	if there, ok, err := e.labels(ctx, name); ok || err != nil {
		return there, err
	}
	_, failed := e.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels})
	// The answer may be about what we asked for; what is there was asked for first.
	there, ok, err := e.labels(ctx, name)
	if ok || err != nil {
		return there, err
	}
	if failed == nil {
		failed = fmt.Errorf("it was removed at once")
	}
	return nil, e.trouble("make the volume "+name, failed)
}

// dropVolume removes a volume, if there is one of that name.
func (e *engine) dropVolume(ctx context.Context, name string) error {
	_, err := e.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.trouble("remove the volume "+name, err)
}

// drop removes a container with its nameless volumes, also one that runs.
func (e *engine) drop(ctx context.Context, container string) error {
	_, err := e.ContainerRemove(ctx, container, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone, or another is removing it
		return nil
	}
	return e.trouble("remove the container "+container, err)
}
