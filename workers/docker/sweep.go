package docker

import (
	"context"
	"errors"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. A target without a name stands for every engine that
// jobs of this state folder were sent to; one that does not answer is
// left out.
func (d Driver) Kept(ctx context.Context, t target.Target) ([]target.Kept, error) {
	engines, err := d.engines(t)
	if err != nil {
		return nil, err
	}
	owner, err := d.owner()
	if err != nil {
		return nil, err
	}
	var all []target.Kept
	for _, e := range engines {
		kept, err := e.kept(ctx, owner)
		if client.IsErrConnectionFailed(err) && t.Name == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, kept...)
	}
	return all, nil
}

// engines are those of a target.
func (d Driver) engines(t target.Target) ([]*engine, error) {
	if t.Name != "" {
		e, err := connect(t)
		return []*engine{e}, err
	}
	hosts, err := d.hosts()
	if err != nil {
		return nil, err
	}
	var all []*engine
	for _, a := range hosts {
		if e, err := open(a); err == nil { // else its certificates have gone
			all = append(all, e)
		}
	}
	return all, nil
}

// kept lists the jobs that have a container, and the marks of those that have none.
func (e *engine) kept(ctx context.Context, owner string) ([]target.Kept, error) {
	boxes, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Size: true, Filters: labelled(labelOwner, owner)})
	if err != nil {
		return nil, e.trouble("list the containers of jobs", err)
	}
	volumes, err := e.VolumeList(ctx, client.VolumeListOptions{Filters: labelled(labelOwner, owner)})
	if err != nil {
		return nil, e.trouble("list the marks of jobs", err)
	}
	var all []target.Kept
	jobs := map[string]bool{}
	for _, c := range boxes.Items {
		if id := c.Labels[labelJob]; target.ValidID(id) && !jobs[id] {
			jobs[id] = true
			if c.Labels[labelPort] != "" {
				continue // an instance of an endpoint: the gateway ends it when it is due
			}
			all = append(all, target.Kept{What: target.KeptJob, Name: id, Bytes: e.bytesOf(ctx, c), Used: time.Unix(c.Created, 0)})
		}
	}
	for _, v := range volumes.Items {
		if digest := v.Labels[labelEnvironment]; digest != "" && v.Name == environmentName(digest) {
			all = append(all, target.Kept{What: target.KeptEnvironment, Name: digest, Used: moment(v.CreatedAt)})
			continue
		}
		id := v.Labels[labelJob]
		if ours := v.Name == markName(id) || v.Name == wishName(id); ours && target.ValidID(id) && !jobs[id] {
			jobs[id] = true
			all = append(all, target.Kept{What: target.KeptMark, Name: id, Used: moment(v.CreatedAt)})
		}
	}
	return all, nil
}

// bytesOf says roughly what a container takes. What its folder holds is known to no
// list, except the log, which is mostly all that stays.
func (e *engine) bytesOf(ctx context.Context, c container.Summary) int64 {
	size, err := e.size(ctx, c.ID, logFile)
	if err != nil {
		size = 0
	}
	return c.SizeRw + size
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	engines, err := d.engines(t)
	if err != nil || !target.ValidID(k.Name) {
		return false, err
	}
	for _, e := range engines {
		gone, err := d.sweep(ctx, e, k, before)
		if client.IsErrConnectionFailed(err) && t.Name == "" {
			continue
		}
		if gone || err != nil {
			return gone, err
		}
	}
	return false, nil
}

func (d Driver) sweep(ctx context.Context, e *engine, k target.Kept, before time.Time) (bool, error) {
	if k.What == target.KeptEnvironment {
		return e.sweepEnvironment(ctx, k.Name, before)
	}
	all, err := e.containers(ctx, k.Name)
	if err != nil {
		return false, err
	}
	switch {
	case k.What == target.KeptJob && len(all) > 0:
		err := d.clean(ctx, e, k.Name)
		if errors.Is(err, errRunning) {
			return false, nil
		}
		return err == nil, err
	case k.What == target.KeptMark && len(all) == 0:
		return e.sweepMark(ctx, k.Name, before)
	}
	return false, nil
}

// sweepMark removes what is left of a job that is long gone: its mark, and the wish to
// end one that was never submitted.
func (e *engine) sweepMark(ctx context.Context, id string, before time.Time) (gone bool, err error) {
	for _, name := range []string{wishName(id), markName(id)} {
		r, err := e.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return gone, e.trouble("look at the mark of the job", err)
		}
		if !moment(r.Volume.CreatedAt).Before(before) {
			return gone, nil
		}
		if err := e.dropVolume(ctx, name); err != nil {
			return gone, err
		}
		gone = true
	}
	return gone, nil
}

// sweepEnvironment removes an environment of Python that is older than that, unless a
// container has it. The engine does not tell when it was used last; a job that comes has it
// made again.
func (e *engine) sweepEnvironment(ctx context.Context, digest string, before time.Time) (bool, error) {
	r, err := e.VolumeInspect(ctx, environmentName(digest), client.VolumeInspectOptions{})
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, e.trouble("look at the Python environment", err)
	}
	if r.Volume.Labels[labelEnvironment] != digest || !moment(r.Volume.CreatedAt).Before(before) {
		return false, nil
	}
	_, err = e.VolumeRemove(ctx, environmentName(digest), client.VolumeRemoveOptions{})
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, e.trouble("remove the Python environment", err)
}
