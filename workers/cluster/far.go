package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Jobs on other machines.
//
// Where a job runs is not known before it is given nodes, and what it is given cannot wait
// in a folder here. So it waits in the memory of the process that it was submitted to, as
// secrets do. Once it has nodes, their places are put down for good, in far/ID.json, and
// from then on all is asked of the driver of machines over SSH, or of that of Slurm, which
// start a job once whatever happens. Nothing is asked of another machine while the cluster
// is locked.

// farJob is where a job of another machine is.
type farJob struct {
	Cluster  string          `json:"cluster"`        // whose job it is
	Kind     string          `json:"kind,omitempty"` // of the provider; empty: ssh
	Settings json.RawMessage `json:"settings"`       // of a target of that kind, whose places are in the order of ranks
}

func (f farJob) target(name string) target.Target {
	kind := f.Kind
	if kind == "" {
		kind = providerSSH
	}
	return target.Target{Name: name, Kind: kind, Settings: f.Settings}
}

// there is a driver of jobs on other machines.
type there interface {
	target.Checkpointer
	target.Sweeper
	Vet(t target.Target, job target.Job) error
}

func (d Driver) there(kind string) there {
	if kind == providerSlurm {
		return d.slurm
	}
	return d.ssh
}

func (d Driver) farFile(id string) string { return filepath.Join(d.dir, "far", id+".json") }

func (d Driver) isFar(id string) bool {
	_, err := os.Stat(d.farFile(id))
	return err == nil
}

// farJob reads where a job is, and reports whether it has hosts.
func (d Driver) farJob(id string) (f farJob, ok bool, err error) {
	if !target.ValidID(id) {
		return f, false, nil
	}
	text, err := os.ReadFile(d.farFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		return f, false, fmt.Errorf("read where job %q is: %w", id, err)
	}
	return f, true, nil
}

// of are the settings of a target, or those it was last submitted to with.
func (d Driver) of(t target.Target) (settings, error) {
	if len(t.Settings) == 0 && target.ValidID(t.Name) {
		known, err := d.memory.look(d.place(t.Name))
		if err != nil {
			return settings{}, err
		}
		t.Settings = known.Settings
	}
	return readSettings(t)
}

// assign puts down which hosts a job has, once and for all. The caller holds the lock.
func (p *pass) assign(j schedule.Job) (farJob, error) {
	if f, ok, err := p.d.farJob(j.ID); ok || err != nil {
		return f, err
	}
	hosts := make([]string, len(j.On))
	for i, node := range j.On {
		var err error
		if hosts[i], err = p.place.hostOf(node); err != nil {
			return farJob{}, fmt.Errorf("node %s: %w", node, err)
		}
	}
	f := farJob{Cluster: p.t.Name, Kind: p.s.kind, Settings: p.s.reach(p.t.Name, hosts...).Settings}
	if p.s.kind == providerSlurm && j.Part != nil {
		f.Settings = lending(f.Settings, j.Slots)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return f, err
	}
	file := p.d.farFile(j.ID)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return f, err
	}
	return f, jobdir.WriteDurable(filepath.Dir(file), filepath.Base(file), text)
}

// lending are settings of a target of kind slurm whose only hold shows these of its GPUs.
func lending(settings json.RawMessage, gpus []int) json.RawMessage {
	all := map[string]any{}
	_ = json.Unmarshal(settings, &all) // it was written just before
	all["lent"] = gpus
	text, err := json.Marshal(all)
	if err != nil {
		return settings
	}
	return text
}

// launch has a job brought to its hosts and started there, while the cluster goes on.
func (p *pass) launch(j schedule.Job) {
	f, err := p.assign(j)
	if err != nil {
		p.note(err)
		return
	}
	w, ok := p.d.memory.work(j.ID)
	if !ok {
		return // it starts when it is submitted again
	}
	d, t, s, at := p.d, p.t, p.s, p.place
	p.note(d.flights.begin("start "+j.ID, func(ctx context.Context) error {
		if s.kind == providerSlurm {
			if there, err := (loans{d, t, s}).there(ctx, at, j); err != nil || !there {
				return err
			}
		}
		err := d.there(f.Kind).Submit(ctx, f.target(t.Name), s.show(w.job, j.Slots), w.in)
		final := errors.Is(err, target.ErrPermanent)
		if err != nil && !final {
			return err
		}
		if final {
			d.flights.refuse(j.ID, err)
		}
		d.memory.forget(j.ID)
		return d.over(ctx, t, func(p *pass) error {
			if final {
				p.cluster().Ended(j.ID, time.Now())
			} else {
				p.cluster().Begun(j.ID)
			}
			return nil
		})
	}))
}

// evict asks a job to end, because its nodes are taken away.
func (p *pass) evict(id string) {
	d, t := p.d, p.t
	f, _, err := d.farJob(id)
	if err != nil {
		p.note(err)
		return
	}
	p.note(d.flights.begin("stop "+id, func(ctx context.Context) error {
		// One whose machine is gone ends for that reason, which only a look can tell.
		if _, err := d.there(f.Kind).Status(ctx, f.target(t.Name), id); err != nil {
			return err
		}
		if err := d.there(f.Kind).Cancel(ctx, f.target(t.Name), id, target.CausePreempted); err != nil {
			return err
		}
		return d.over(ctx, t, func(p *pass) error {
			p.cluster().Told(id)
			return nil
		})
	}))
}

// patience is how long a submission waits for nodes that are on their way, so that it can
// say of a job at once what is wrong with it.
const patience = 15 * time.Second

func (d Driver) submitFar(ctx context.Context, t target.Target, s settings, job target.Job, in target.Blobs) error {
	if err := d.there(s.kind).Vet(s.reach(t.Name, s.hosts...), s.show(job, nil)); err != nil {
		return err
	}
	waits := true
	err := d.over(ctx, t, func(p *pass) error {
		j := p.cluster().Find(job.ID)
		if j == nil {
			st, err := d.jobs.Status(ctx, t, job.ID)
			if err != nil || st.State == target.Cancelled || st.Cause == target.CausePreempted || d.jobs.Cleaned(job.ID) || d.isFar(job.ID) {
				waits = false // it has run, was cancelled or cleaned
				return err
			}
		} else if j.Begun || j.Stopping {
			waits = false
			return nil
		}
		d.flights.again(job.ID)
		d.memory.keepWork(job.ID, submitted{job, in})
		p.confide(job.ID)
		p.enqueue(job)
		return nil
	})
	for until := time.Now().Add(patience); err == nil && waits && time.Now().Before(until); {
		known, err := d.settled(ctx, t, job.ID)
		if err != nil {
			return err
		}
		if refused := errors.Join(d.flights.refused(job.ID), d.flights.failure("start "+job.ID)); refused != nil {
			return refused
		}
		j, f := known.Cluster.Find(job.ID), known.fleet(time.Now())
		if j == nil || j.Begun || j.Stopping || j.Waits() && f.Creating == 0 || known.Trouble != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return err
}

// show is a job as it is given to its nodes. On hosts, which nobody else shares out, it is
// told which GPUs it may use: the first ones, or those of the slots that it has; Slurm tells
// it itself.
func (s settings) show(job target.Job, slots []int) target.Job {
	const visible, order = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
	if _, own := job.Env[visible]; s.Node.GPUs == 0 || own || s.kind == providerSlurm && job.Needs.GPUs > 0 {
		return job
	}
	names := make([]string, job.Needs.GPUs)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	for i, slot := range slots {
		names[i] = strconv.Itoa(slot)
	}
	job.Env = maps.Clone(job.Env)
	if job.Env == nil {
		job.Env = map[string]string{}
	}
	job.Env[visible], job.Env[order], job.Needs.GPUs = strings.Join(names, ","), "PCI_BUS_ID", 0
	return job
}

// farStatus is that of a job with hosts.
func (d Driver) farStatus(ctx context.Context, t target.Target, id string, f farJob, known *state) (target.Status, error) {
	if err := d.flights.refused(id); err != nil {
		return target.Status{}, err
	}
	j := known.Cluster.Find(id)
	st, err := d.there(f.Kind).Status(ctx, f.target(t.Name), id)
	if err != nil {
		return st, err
	}
	if j != nil && !j.Begun && st.State == target.Lost {
		return target.Status{State: target.Waiting, Reason: known.why(id, d.memory.has(id))}, nil
	}
	if st.State.Ended() && j != nil {
		err = d.over(ctx, t, func(p *pass) error {
			p.cluster().Ended(id, time.Now())
			return nil
		})
		d.memory.forget(id)
	}
	return st, err
}

func (d Driver) cancelFar(ctx context.Context, t target.Target, id string, why target.Cause) error {
	if !target.ValidID(id) {
		return d.jobs.Cancel(ctx, t, id, why) // which says what is wrong
	}
	err := d.over(ctx, t, func(p *pass) error {
		j := p.cluster().Find(id)
		if j != nil && !j.Waits() {
			_, err := p.assign(*j)
			return err
		}
		if d.isFar(id) {
			return nil
		}
		if j != nil {
			p.cluster().Ended(id, time.Now())
		}
		return d.jobs.Cancel(ctx, t, id, why)
	})
	if err != nil {
		return err
	}
	f, ok, err := d.farJob(id)
	if err != nil || !ok {
		d.memory.forget(id)
		return err
	}
	return d.there(f.Kind).Cancel(ctx, f.target(t.Name), id, why)
}

// cleanFar leaves a tombstone here, too: on which hosts the job was is known no more, and
// it must not start on others.
func (d Driver) cleanFar(ctx context.Context, t target.Target, id string) error {
	f, ok, err := d.farJob(id)
	if err != nil {
		return err
	}
	if ok {
		if err := d.there(f.Kind).Clean(ctx, f.target(t.Name), id); err != nil {
			return err
		}
	}
	err = d.over(ctx, t, func(p *pass) error {
		waited := p.cluster().Has(id)
		p.cluster().Ended(id, time.Now())
		if !ok && !waited {
			return nil
		}
		return d.jobs.Cancel(ctx, t, id, target.CauseCancel)
	})
	d.memory.forget(id)
	if err == nil {
		err = d.jobs.Clean(ctx, t, id)
	}
	if err != nil || !ok {
		return err
	}
	return ignoreMissing(os.Remove(d.farFile(id)))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// keptFar lists the jobs of other machines. What they take there is not known here.
func (d Driver) keptFar() ([]target.Kept, error) {
	entries, err := os.ReadDir(filepath.Dir(d.farFile("x")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []target.Kept
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if info, err := e.Info(); err == nil && ok && target.ValidID(id) {
			all = append(all, target.Kept{What: target.KeptJob, Name: id, Bytes: info.Size(), Used: info.ModTime()})
		}
	}
	return all, err
}

// sweepFar removes what a job has left on other machines, unless it runs.
func (d Driver) sweepFar(ctx context.Context, id string, f farJob) (bool, error) {
	t := target.Target{Name: f.Cluster, Kind: "cluster"}
	st, err := d.Status(ctx, t, id)
	if err != nil || !st.State.Ended() {
		return false, err
	}
	err = d.cleanFar(ctx, t, id)
	return err == nil, err
}

// lookFar notices which jobs of other machines have ended that nobody follows.
func (d Driver) lookFar(t target.Target, known *state) {
	for _, j := range known.Cluster.Jobs {
		if j.Waits() || !d.isFar(j.ID) {
			continue
		}
		_ = d.flights.begin("look "+j.ID, func(ctx context.Context) error {
			_, err := d.Status(ctx, t, j.ID)
			return err
		})
	}
}

// Close ends all connections to other machines. Jobs go on.
func (d Driver) Close() {
	d.flights.close()
	d.ssh.Close()
}
