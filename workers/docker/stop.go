package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// errRunning is what Clean refuses with.
var errRunning = errors.New("it is still running")

// Cancel implements target.Driver.
func (d Driver) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	if !target.ValidID(id) {
		return nil
	}
	e, err := connect(t)
	if err != nil {
		return err
	}
	f, err := e.find(ctx, id)
	if err != nil {
		return err
	}
	if f.box == nil && f.marked || f.box != nil && started(f.box) && !running(f.box) {
		return nil // it is gone, or has ended
	}
	if err := d.stop(ctx, e, id, why); err != nil {
		return fmt.Errorf("cancel job %q: %w", id, err)
	}
	return nil
}

// stop makes the wish to end a job, and carries it out: a container that was not
// started yet is taken away from who would start it, and one that runs is stopped.
func (d Driver) stop(ctx context.Context, e *engine, id string, why target.Cause) error {
	owner, err := d.owner()
	if err != nil {
		return err
	}
	if err := e.leaveWish(ctx, owner, id, why); err != nil {
		return err
	}
	e.remember(id, nil)
	f, err := e.find(ctx, id) // it may have been made meanwhile
	if err != nil || f.box == nil {
		return err
	}
	box := f.box
	if !started(box) {
		if _, box, err = e.rename(ctx, id, box.ID); err != nil || box == nil {
			return err
		}
	}
	switch {
	case !started(box):
		return e.drop(ctx, box.ID) // with the secrets that it may hold
	case !running(box):
		return nil
	}
	r, err := recordOf(*box)
	if err != nil {
		return err
	}
	return e.terminate(ctx, box.ID, r.Grace)
}

// patience is how long an engine is waited for that stops a container.
const patience = time.Second

// terminate asks the engine for TERM now, and for KILL after the grace in whole seconds,
// at least one: Podman does not notice that a container has gone that it is to kill at
// once. The engine goes on with it when nobody waits for the answer.
func (e *engine) terminate(ctx context.Context, container string, grace time.Duration) error {
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seconds := int(max(seconds(grace), 1))
	_, err := e.ContainerStop(brief, container, client.ContainerStopOptions{Timeout: &seconds})
	if brief.Err() != nil && ctx.Err() == nil || errdefs.IsNotFound(err) || errdefs.IsNotModified(err) || errdefs.IsConflict(err) {
		return nil
	}
	return e.trouble("stop the container", err)
}

// kill ends a container that outstays its grace.
func (e *engine) kill(ctx context.Context, container string) error {
	_, err := e.ContainerKill(ctx, container, client.ContainerKillOptions{Signal: "KILL"})
	switch {
	case err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err): // it has ended
		return nil
	case client.IsErrConnectionFailed(err) || ctx.Err() != nil:
		return e.trouble("kill the container", err)
	}
	return e.terminate(ctx, container, 0) // which looks closer at what is there
}

// Clean implements target.Driver. The mark stays, because a submission that was under
// way all the time must still not start the job a second time; Sweep removes it.
func (d Driver) Clean(ctx context.Context, t target.Target, id string) error {
	if !target.ValidID(id) {
		return nil
	}
	e, err := connect(t)
	if err != nil {
		return err
	}
	if err := d.clean(ctx, e, id); err != nil {
		return fmt.Errorf("clean job %q: %w", id, err)
	}
	return nil
}

func (d Driver) clean(ctx context.Context, e *engine, id string) error {
	f, err := e.find(ctx, id)
	if err != nil {
		return err
	}
	if f.box != nil && running(f.box) {
		return fmt.Errorf("cancel it first: %w", errRunning)
	}
	_, stopped, err := e.wish(ctx, id)
	if err != nil || f == (found{}) && !stopped {
		return err
	}
	owner, err := d.owner()
	if err != nil {
		return err
	}
	// From here on no draft is elected any more.
	if _, err := e.elect(ctx, owner, id, ""); err != nil {
		return err
	}
	all, err := e.containers(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := e.removeEnded(ctx, c.ID); err != nil {
			return err
		}
	}
	return e.dropVolume(ctx, wishName(id))
}

// removeEnded removes a container unless it runs.
func (e *engine) removeEnded(ctx context.Context, container string) error {
	_, err := e.ContainerRemove(ctx, container, client.ContainerRemoveOptions{RemoveVolumes: true})
	switch {
	case errdefs.IsNotFound(err):
		return nil
	case err == nil:
		return nil
	}
	if box, looked := e.inspect(ctx, container); looked == nil && box == nil {
		return nil // another has removed it
	} else if looked == nil && running(box) {
		return fmt.Errorf("cancel it first: %w", errRunning)
	}
	return e.trouble("remove the container", err)
}
