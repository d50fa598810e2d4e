package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"
)

// step is called between the steps of a pass, so that tests can die there.
var step = func(name string) {}

// most is how often one pass looks again after it has done something: a node that is
// made at once is given its job in the same pass.
const most = 4

// pass is one pass over a cluster: look at its nodes and jobs, decide, write that down, and
// act. The caller holds the lock.
type pass struct {
	d       Driver
	t       target.Target
	place   place
	s       settings
	nodes   provider
	state   *state
	trouble []error // what could not be done; the next pass tries again
}

// over makes a pass over the cluster of t. It waits for others that make one. ask may
// tell of something that has happened before anything is decided.
func (d Driver) over(ctx context.Context, t target.Target, ask func(p *pass) error) error {
	if d.shared != "" {
		if err := d.own(t.Name); err != nil {
			return err
		}
	}
	p := d.place(t.Name)
	lock, err := p.enter(ctx)
	if err != nil {
		return fmt.Errorf("lock cluster %q: %w", t.Name, err)
	}
	defer lock.Close()
	if err := d.locked(ctx, t, p, ask); err != nil {
		return fmt.Errorf("cluster %q: %w", t.Name, err)
	}
	return nil
}

// enter makes the folder of a cluster if need be, and locks it. A cluster of a run may vanish
// at any time, and with it the file that others wait for.
func (p place) enter(ctx context.Context) (*os.File, error) {
	for {
		if err := os.MkdirAll(p.nodes(), 0o700); err != nil {
			return nil, err
		}
		lock, err := jobdir.Lock(ctx, p.lock())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ours, err := lock.Stat()
		if now, gone := os.Stat(p.lock()); err == nil && gone == nil && os.SameFile(ours, now) {
			return lock, nil
		}
		lock.Close()
		if err != nil {
			return nil, err
		}
	}
}

func (d Driver) locked(ctx context.Context, t target.Target, at place, ask func(p *pass) error) error {
	st, err := at.read()
	if err != nil {
		return err
	}
	if len(t.Settings) == 0 {
		t.Settings = st.Settings
	}
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if err := d.claim(t, s, st); err != nil {
		return err
	}
	if st.Over {
		s.limits.Min, s.limits.Idle, s.limits.Ends = 0, 0, "its run has ended"
	}
	st.Settings, st.Cluster.Limits = t.Settings, s.limits
	p := &pass{d: d, t: t, place: at, s: s, nodes: d.provider(t, s), state: st}
	if ask != nil {
		if err := ask(p); err != nil {
			return err
		}
	}
	p.hold()
	return p.run(ctx)
}

// hold lets the provider have nodes back, if they may be taken away.
func (p *pass) hold() {
	why := ""
	if p.s.Priority == "low" {
		why = p.nodes.wanted(p.cluster().Held != "")
	}
	p.cluster().Hold(why, time.Now())
}

func (p *pass) run(ctx context.Context) error {
	k := &keeper{place: p.place}
	if err := p.lookAtJobs(ctx); err != nil {
		return err
	}
	for range most {
		if err := p.lookAtNodes(ctx); err != nil {
			return err
		}
		p.state.Cluster.Decide(time.Now(), p.mayStart)
		step("decided")
		if err := k.save(p.state); err != nil {
			return err
		}
		step("saved")
		if !p.act(ctx) {
			break
		}
	}
	p.state.Trouble = ""
	if err := errors.Join(p.trouble...); err != nil {
		p.state.Trouble = err.Error()
	}
	p.state.Coming = p.nodes.coming(p.place)
	return k.save(p.state)
}

// mayStart reports whether this process can start a job: whether it has its secrets.
func (p *pass) mayStart(id string) bool {
	return !p.state.Confided[id] || p.d.memory.has(id)
}

func (p *pass) cluster() *schedule.Cluster { return &p.state.Cluster }

// lookAtJobs notices which jobs that have nodes have ended. One that has not certainly begun
// is started first: a look takes a start that somebody died over for the end of the job.
func (p *pass) lookAtJobs(ctx context.Context) error {
	for _, j := range slices.Clone(p.cluster().Jobs) {
		if !j.Begun && !j.Told || p.d.isFar(j.ID) {
			continue // of another machine, whoever follows the job tells
		}
		if err := p.lookAt(ctx, j.ID); err != nil {
			return err
		}
	}
	return nil
}

// lookAt notices how a job is.
func (p *pass) lookAt(ctx context.Context, id string) error {
	st, err := p.d.jobs.Status(ctx, p.t, id)
	if err != nil {
		return err
	}
	if st.State.Ended() {
		p.cluster().Ended(id, time.Now())
	}
	return nil
}

// lookAtNodes notices which nodes have come and gone. Those that nobody knows are given
// back: what they were for is forgotten.
func (p *pass) lookAtNodes(ctx context.Context) error {
	names, err := p.nodes.list(ctx, p.place)
	if err != nil {
		return err
	}
	there, now := map[string]bool{}, time.Now()
	for _, name := range names {
		there[name] = true
	}
	for _, n := range slices.Clone(p.cluster().Nodes) {
		switch {
		case there[n.Name]:
			p.cluster().Arrived(n.Name, now)
		case n.Phase != schedule.Creating:
			p.cluster().Vanished(n.Name, now)
		}
		delete(there, n.Name)
	}
	for name := range there {
		p.note(p.nodes.remove(ctx, p.place, name))
	}
	return nil
}

// act does what is due, and reports whether it is worth looking again at once.
func (p *pass) act(ctx context.Context) (again bool) {
	for _, a := range p.cluster().Due() {
		switch a.Do {
		case schedule.Create:
			again = true
			p.note(p.nodes.make(ctx, p.place, a.Node))
		case schedule.Remove:
			again = true
			p.note(p.nodes.remove(ctx, p.place, a.Node))
		case schedule.Start:
			again = p.start(ctx, a.Job.ID) || again
		case schedule.Stop:
			p.stop(ctx, a.Job.ID)
		}
		step("did " + string(a.Do))
	}
	return again
}

// start starts a job that was given nodes. One that must be submitted again makes room.
func (p *pass) start(ctx context.Context, id string) (again bool) {
	if p.s.far() {
		p.launch(*p.cluster().Find(id))
		return false
	}
	err := p.d.jobs.StartWith(ctx, id, p.d.memory.secrets(id), p.cluster().GPUs(id))
	if errors.Is(err, local.ErrUnprepared) {
		p.cluster().Ended(id, time.Now())
		return true
	}
	if err == nil {
		p.cluster().Begun(id)
		p.d.memory.forget(id)
	}
	p.note(err)
	return false
}

func (p *pass) stop(ctx context.Context, id string) {
	if p.d.isFar(id) {
		p.evict(id)
		return
	}
	err := p.d.jobs.Cancel(ctx, p.t, id, target.CausePreempted)
	if err == nil {
		p.cluster().Told(id)
	}
	p.note(err)
}

func (p *pass) note(err error) {
	if err != nil {
		p.trouble = append(p.trouble, err)
	}
}
