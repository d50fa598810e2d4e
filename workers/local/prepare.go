package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// ErrUnprepared is what Start refuses a job with that must be prepared first, perhaps again:
// the machine was restarted since, or the values of its secrets are not given.
var ErrUnprepared = errors.New("it must be submitted again")

// Prepare is Submit without the start, for a job that has to wait for its turn: when it
// returns, all that the job needs is in its folder, but for the values of its secrets,
// which are kept nowhere. The job is Waiting then. Preparing a job that has started, or
// that was cancelled, changes nothing.
func (d Driver) Prepare(ctx context.Context, t target.Target, job target.Job, in target.Blobs) error {
	f, err := d.folder(job.ID)
	if err != nil {
		return err
	}
	if f.started() || f.ofBefore() {
		return nil
	}
	r, err := newRecord(t, job)
	if err != nil {
		return err
	}
	if err := f.process(0, r).Check(); err != nil {
		return fmt.Errorf("job %q: %w: %w", job.ID, err, target.ErrPermanent)
	}
	return d.submit(ctx, f, r, in, stay)
}

// Start starts a job that was prepared, once and for all, with the values of its secrets.
// Whatever has become of a job that was started, cancelled or cleaned before stays.
func (d Driver) Start(ctx context.Context, id string, secrets map[string]string) error {
	return d.StartWith(ctx, id, secrets, nil)
}

// StartWith is Start for a job on nodes that have GPUs, for which Deals is set: of those of
// each node it gets as many as it asks for.
func (d Driver) StartWith(ctx context.Context, id string, secrets map[string]string, gpus [][]string) error {
	f, err := d.folder(id)
	if err != nil || f.started() || f.ofBefore() || exists(d.tombstone(id)) {
		return err
	}
	r, ok, err := f.read()
	if err != nil {
		return fmt.Errorf("read the record of job %q: %w", id, err)
	}
	began := jobdir.Started(f.rank(0))
	if !ok || !began && r.Boot != jobdir.BootID() || r.Confided && len(secrets) == 0 {
		return fmt.Errorf("start job %q: %w", id, ErrUnprepared)
	}
	r.Job.Secrets = secrets
	if r.waits() {
		if r.Lent, err = d.dealt(r, gpus); err != nil || len(r.Lent) == 0 {
			return fmt.Errorf("start job %q without its GPUs: %w", id, errors.Join(err, ErrUnprepared))
		}
	}
	return d.submit(ctx, f, r, nil, f.start)
}

// dealt are the GPUs that a job starts with.
func (d Driver) dealt(r record, gpus [][]string) (all []string, err error) {
	if !d.Deals {
		return d.lent(r.Job.ID)
	}
	for _, node := range gpus {
		all = append(all, node[:min(r.Needs.GPUs, len(node))]...)
	}
	if len(all) < r.Needs.GPUs*r.Needs.Nodes {
		return nil, nil
	}
	return all, nil
}
