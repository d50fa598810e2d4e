package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// Clusters of single runs.
//
// With `lifetime: run` each run has a cluster of its own, in clusters/NAME.run.RUN, which is
// made with its first job. Drivers are told of jobs and not of runs, but the id of a job
// begins with that of its run. That a run has ended is told by whoever knows runs (see
// target.Attendant), again and again until nothing of its cluster is left.

const runMark = ".run."

// mistakable refuses a name that would be taken for that of the cluster of a run.
func mistakable(name string) error {
	if strings.Contains(name, runMark) {
		return fmt.Errorf("target %q cannot be a cluster, since clusters of single runs are named so: leave %q out of its name: %w", name, runMark, target.ErrPermanent)
	}
	return nil
}

// at is the cluster that a job is in, or would be in: the driver for where it is kept, and
// the target under its name.
func (d Driver) at(t target.Target, id string) (Driver, target.Target) {
	d = d.in(t)
	run, _, _ := strings.Cut(id, ".")
	if !target.ValidID(t.Name) || !target.ValidID(id) || !target.ValidID(t.Name+runMark+run) {
		return d, t
	}
	var s struct {
		Lifetime string `json:"lifetime"`
	}
	_ = json.Unmarshal(t.Settings, &s) // what is wrong with them is said by readSettings
	own := t
	own.Name += runMark + run
	if s.Lifetime == ofRun {
		return d, own
	}
	// It was of a run when the job came, or there are no settings to tell.
	if known, err := d.memory.look(d.place(own.Name)); err == nil && known.Cluster.Has(id) {
		return d, own
	}
	return d, t
}

// runsOf lists the clusters that a target has for single runs, by their names.
func (d Driver) runsOf(name string) ([]string, error) {
	all, err := d.places()
	return slices.DeleteFunc(all, func(place string) bool { return !strings.HasPrefix(place, name+runMark) }), err
}

var _ target.Attendant = Driver{}

// Attends implements target.Attendant.
func (d Driver) Attends(context.Context) ([]string, error) {
	var runs []string
	err := d.eachRun(func(_ Driver, _, run string) error {
		if !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
		return nil
	})
	return runs, err
}

// Leave implements target.Attendant.
func (d Driver) Leave(ctx context.Context, run string, ended bool) error {
	return d.eachRun(func(d Driver, name, of string) error {
		if of != run {
			return nil
		}
		return d.leave(ctx, target.Target{Name: name, Kind: "cluster"}, ended)
	})
}

// eachRun does something for each cluster of a run of this state folder.
func (d Driver) eachRun(do func(home Driver, name, run string) error) error {
	homes, err := d.homes()
	errs := []error{err}
	for _, home := range homes {
		names, err := home.places()
		errs = append(errs, err)
		for _, name := range names {
			if _, run, ok := strings.Cut(name, runMark); ok && home.ours(name) {
				errs = append(errs, do(home, name, run))
			}
		}
	}
	return errors.Join(errs...)
}

// ours reports whether the run of a cluster is of this state folder.
func (d Driver) ours(name string) bool {
	st, err := d.memory.look(d.place(name))
	return d.shared == "" || err == nil && st.Home == d.shared
}

// leave has one cluster end: no job starts any more, those that run are stopped, and all
// nodes go. Unless the run is known to have ended it only goes when it has no job.
func (d Driver) leave(ctx context.Context, t target.Target, ended bool) error {
	st, err := d.place(t.Name).read()
	if err != nil {
		return err
	}
	if !ended && len(st.Cluster.Jobs) > 0 {
		return nil
	}
	for _, j := range st.Cluster.Jobs {
		if err := d.Cancel(ctx, t, j.ID, target.CauseCancel); err != nil {
			return err
		}
	}
	if len(st.Settings) > 0 { // else it was never more than a folder
		if err := d.over(ctx, t, func(p *pass) error { p.state.Over = true; return nil }); err != nil {
			return err
		}
	}
	d.lookFar(t, st)
	return d.vanish(ctx, t.Name)
}

// vanish removes a cluster that has no jobs and no nodes. What its nodes have cost is kept
// with the target: under the name of the cluster as long as that may be there, so that it
// counts once whoever is killed.
func (d Driver) vanish(ctx context.Context, name string) error {
	p := d.place(name)
	lock, err := jobdir.Lock(ctx, p.lock())
	if err != nil {
		return ignoreMissing(err)
	}
	defer lock.Close()
	st, err := p.read()
	if err != nil {
		return err
	}
	nodes, err := p.made()
	if err != nil || len(nodes)+len(st.Cluster.Nodes)+len(st.Cluster.Jobs) > 0 {
		return err
	}
	if err := d.bequeath(ctx, name, st); err != nil {
		return fmt.Errorf("keep what cluster %q has cost: %w", name, err)
	}
	return os.RemoveAll(string(p))
}

// bequeath adds the time of nodes that a cluster had to that of its target.
func (d Driver) bequeath(ctx context.Context, name string, st *state) error {
	base, _, _ := strings.Cut(name, runMark)
	p := d.place(base)
	if err := os.MkdirAll(p.nodes(), 0o700); err != nil {
		return err
	}
	lock, err := jobdir.Lock(ctx, p.lock())
	if err != nil {
		return err
	}
	defer lock.Close()
	all, err := p.read()
	if err != nil {
		return err
	}
	for old, spent := range all.Past {
		if old != name && !exists(string(d.place(old))) {
			all.Cluster.Spent += spent
			delete(all.Past, old)
		}
	}
	if all.Past == nil {
		all.Past = map[string]time.Duration{}
	}
	all.Past[name] = st.Cluster.Spent
	all.Cluster.Grew, all.Cluster.Shrank = st.Cluster.Grew, st.Cluster.Shrank
	return (&keeper{place: p}).save(all)
}

// fleetOfRuns is how the nodes of all clusters of a target are that are those of single runs.
func (d Driver) fleetOfRuns(ctx context.Context, t target.Target, s settings) (target.Fleet, error) {
	now := time.Now()
	base, err := d.place(t.Name).read()
	if err != nil {
		return target.Fleet{}, err
	}
	sum := base.fleet(now)
	sum.Min, sum.Max = s.Nodes.Min, s.Nodes.Max
	names, err := d.runsOf(t.Name)
	if err != nil {
		return sum, err
	}
	for old, spent := range base.Past {
		if !slices.Contains(names, old) {
			sum.NodeHours += spent.Hours()
		}
	}
	for _, name := range names {
		if err := d.over(ctx, target.Target{Name: name, Kind: t.Kind}, nil); err != nil {
			return sum, err
		}
		st, err := d.place(name).read()
		if err != nil {
			return sum, err
		}
		f := st.fleet(now)
		sum.Creating, sum.Ready, sum.Busy, sum.Leaving = sum.Creating+f.Creating, sum.Ready+f.Ready, sum.Busy+f.Busy, sum.Leaving+f.Leaving
		sum.GPUs, sum.GPUsTaken = sum.GPUs+f.GPUs, sum.GPUsTaken+f.GPUsTaken
		sum.Queued, sum.NodeHours = sum.Queued+f.Queued, sum.NodeHours+f.NodeHours
		if f.Grew.At.After(sum.Grew.At) {
			sum.Grew = f.Grew
		}
		if f.Shrank.At.After(sum.Shrank.At) {
			sum.Shrank = f.Shrank
		}
		if f.Trouble != "" {
			sum.Trouble = f.Trouble
		}
		if f.Coming != "" {
			sum.Coming = f.Coming
		}
		_, run, _ := strings.Cut(filepath.Base(name), runMark)
		sum.Runs = append(sum.Runs, run)
	}
	return sum, nil
}
