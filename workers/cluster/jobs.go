package cluster

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Submit implements target.Driver: it lays the job out, and lets it wait for nodes.
func (d Driver) Submit(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if err := mistakable(t.Name); err != nil {
		return err
	}
	if err := s.fits(t.Name, job); err != nil {
		return err
	}
	within := t
	if d, t = d.at(t, job.ID); d.shared != "" {
		if err := d.own(within.Name); err != nil {
			return err
		}
		if err := d.remember(); err != nil {
			return fmt.Errorf("target %q: %w", within.Name, err)
		}
	}
	if s.far() {
		return d.submitFar(ctx, t, s, job, in)
	}
	if err := d.jobs.Prepare(ctx, s.place(within.Name), s.within(job), in); err != nil {
		return err
	}
	return d.over(ctx, t, func(p *pass) error {
		if p.cluster().Has(job.ID) {
			d.memory.keep(job.ID, job.Secrets)
			return nil
		}
		st, err := d.jobs.Status(ctx, t, job.ID)
		if err != nil || st.State != target.Waiting {
			return err // it has run, was cancelled or cleaned
		}
		d.memory.keep(job.ID, job.Secrets)
		if len(job.Secrets) > 0 {
			p.confide(job.ID)
		}
		p.enqueue(job)
		return nil
	})
}

// enqueue has a job wait for nodes.
func (p *pass) enqueue(job target.Job) {
	p.state.Over, p.state.Home = false, p.d.shared
	p.cluster().EnqueuePart(job.ID, job.Needs.Nodes, p.s.part(job), job.Priority, time.Now())
}

func (p *pass) confide(id string) {
	if p.state.Confided == nil {
		p.state.Confided = map[string]bool{}
	}
	p.state.Confided[id] = true
}

// Status implements target.Driver. Of a job that waits it also does what has become due
// on its cluster, and of one that has ended it gives the nodes to others.
func (d Driver) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	d, t = d.at(t, id)
	known, err := d.settled(ctx, t, id)
	if err != nil {
		return target.Status{}, err
	}
	far, isFar, err := d.farJob(id)
	if err != nil {
		return target.Status{}, err
	}
	if isFar {
		return d.farStatus(ctx, t, id, far, known)
	}
	if j := known.Cluster.Find(id); j != nil && !j.Begun && !j.Told {
		return target.Status{State: target.Waiting, Reason: known.why(id, d.memory.has(id))}, nil
	}
	st, err := d.jobs.Status(ctx, t, id)
	if err == nil && st.State.Ended() && known.Cluster.Has(id) {
		err = d.over(ctx, t, nil)
	}
	switch {
	case st.State != target.Waiting:
		d.memory.forget(id)
	case st.Reason == "":
		st.Reason = "its submission is under way"
	}
	return st, err
}

// settled reads how the cluster is. If a job waits or is about to start, it makes a pass
// first: to look at a start that somebody died over would be to call the job lost.
func (d Driver) settled(ctx context.Context, t target.Target, id string) (*state, error) {
	if !target.ValidID(t.Name) {
		return &state{}, nil
	}
	known, err := d.memory.look(d.place(t.Name))
	if err != nil {
		return nil, err
	}
	j := known.Cluster.Find(id)
	if j == nil || j.Begun || j.Waits() && !d.memory.due(t.Name) {
		return known, nil
	}
	if err := d.over(ctx, t, nil); err != nil {
		return nil, err
	}
	return d.memory.look(d.place(t.Name))
}

// why says what a job waits for.
func (st *state) why(id string, confided bool) string {
	j := st.Cluster.Find(id)
	f := st.fleet(time.Now())
	why := fmt.Sprintf("waiting for %d of at most %d nodes, of which %d are busy", j.Nodes, f.Max, f.Busy)
	if j.Part != nil {
		why = fmt.Sprintf("waiting for %d of the %s of a node; of at most %d nodes %d are busy", j.Part.GPUs, count(st.Cluster.Limits.GPUs, "GPU"), f.Max, f.Busy)
	}
	if ahead := st.Cluster.Place(id); ahead > 0 {
		why += fmt.Sprintf("; jobs before it: %d", ahead)
	}
	switch {
	case !j.Waits():
		why = "it is about to start"
	case j.Nodes > f.Max:
		why += ": raise `nodes.max` of the target, or cancel it"
	case j.Part != nil && j.Part.GPUs > st.Cluster.Limits.GPUs:
		why += ": raise `node.gpus` of the target, or cancel it"
	case st.Confided[id] && !confided:
		why += "; it starts once it is submitted again, since what it is given was with a process that has ended"
	}
	if st.Cluster.Held != "" {
		why += "; nothing starts now, since " + st.Cluster.Held
	}
	if st.Coming != "" {
		why += "; " + st.Coming
	}
	if st.Trouble != "" {
		why += ": " + st.Trouble
	}
	return why
}

// Cancel implements target.Driver. A job that is preempted loses its nodes, which leave.
func (d Driver) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	d, t = d.at(t, id)
	if why == target.CausePreempted {
		known, err := d.memory.look(d.place(t.Name))
		if err != nil {
			return err
		}
		if j := known.Cluster.Find(id); j != nil && !j.Waits() {
			return d.over(ctx, t, func(p *pass) error {
				p.cluster().Take(id, time.Now())
				return nil
			})
		}
	}
	if s, err := d.of(t); err == nil && s.far() {
		return d.cancelFar(ctx, t, id, why)
	}
	if err := d.jobs.Cancel(ctx, t, id, why); err != nil {
		return err
	}
	return d.let(ctx, t, id)
}

// let gives up what a job has, or waits for, once it has ended.
func (d Driver) let(ctx context.Context, t target.Target, id string) error {
	d.memory.forget(id)
	known, err := d.memory.look(d.place(t.Name))
	if err != nil || !known.Cluster.Has(id) {
		return err
	}
	return d.over(ctx, t, func(p *pass) error {
		if j := p.cluster().Find(id); j == nil || !j.Waits() {
			return nil
		}
		return p.lookAt(ctx, id)
	})
}

// Clean implements target.Driver.
func (d Driver) Clean(ctx context.Context, t target.Target, id string) error {
	d, t = d.at(t, id)
	if _, err := d.settled(ctx, t, id); err != nil {
		return err
	}
	if s, err := d.of(t); err == nil && s.far() {
		return d.cleanFar(ctx, t, id)
	}
	if err := d.jobs.Clean(ctx, t, id); err != nil {
		return err
	}
	return d.let(ctx, t, id)
}

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	d = d.in(t)
	if far, ok, err := d.farJob(id); ok || err != nil {
		if err != nil {
			return offset, err
		}
		return d.there(far.Kind).Read(ctx, far.target(t.Name), id, s, offset, w)
	}
	return d.jobs.Read(ctx, t, id, s, offset, w)
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	d, t = d.at(t, id)
	known, err := d.settled(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if far, ok, err := d.farJob(id); ok || err != nil {
		if err != nil {
			return target.Results{}, err
		}
		return d.there(far.Kind).Collect(ctx, far.target(t.Name), id, out)
	}
	if s, err := d.of(t); err == nil && s.far() && known.Cluster.Has(id) {
		return target.Results{}, fmt.Errorf("job %q is waiting: its results can be collected once it has ended", id)
	}
	return d.jobs.Collect(ctx, t, id, out)
}

var _ target.Checkpointer = Driver{}

// Checkpoint implements target.Checkpointer.
func (d Driver) Checkpoint(ctx context.Context, t target.Target, id, mark string, out target.Blobs) (target.Ref, string, error) {
	d, t = d.at(t, id)
	known, err := d.settled(ctx, t, id)
	if err != nil {
		return "", mark, err
	}
	if j := known.Cluster.Find(id); j != nil && !j.Begun {
		return "", mark, nil
	}
	if far, ok, err := d.farJob(id); ok || err != nil {
		if err != nil {
			return "", mark, err
		}
		return d.there(far.Kind).Checkpoint(ctx, far.target(t.Name), id, mark, out)
	}
	return d.jobs.Checkpoint(ctx, t, id, mark, out)
}

var _ target.Waiter = Driver{}

// Wait implements target.Waiter. There is no hint for a job that waits for nodes.
func (d Driver) Wait(t target.Target, id string) <-chan struct{} {
	return d.in(t).jobs.Wait(t, id)
}
