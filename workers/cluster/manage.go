package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/cluster/schedule"
	"github.com/amlflow/amlflow/workers/target"
)

var (
	_ target.Manager  = Driver{}
	_ target.Restless = Driver{}
)

// Resize implements target.Manager.
func (d Driver) Resize(ctx context.Context, t target.Target, nodes int) error {
	d = d.in(t)
	s, err := readSettings(t)
	if err != nil {
		return err
	}
	if s.Lifetime == ofRun {
		return fmt.Errorf("each run has a cluster of its own on target %q, which grows and shrinks by itself: %w", t.Name, target.ErrPermanent)
	}
	if nodes < s.Nodes.Min || nodes > s.Nodes.Max {
		return fmt.Errorf("target %q has between %d and %d nodes, and is to have %d: change `nodes` of the target, or ask for a number in between: %w", t.Name, s.Nodes.Min, s.Nodes.Max, nodes, target.ErrPermanent)
	}
	return d.over(ctx, t, func(p *pass) error {
		p.cluster().Resize(nodes, time.Now())
		return nil
	})
}

// Nodes implements target.Manager.
func (d Driver) Nodes(ctx context.Context, t target.Target) (target.Fleet, error) {
	d = d.in(t)
	var f target.Fleet
	if s, err := readSettings(t); err == nil && s.Lifetime == ofRun {
		return d.fleetOfRuns(ctx, t, s)
	}
	if err := d.over(ctx, t, nil); err != nil {
		return f, err
	}
	st, err := d.place(t.Name).read()
	if err != nil {
		return f, err
	}
	return st.fleet(time.Now()), nil
}

// fleet is how the nodes are.
func (st *state) fleet(now time.Time) target.Fleet {
	c := &st.Cluster
	f := target.Fleet{Min: c.Limits.Min, Max: c.Limits.Max, NodeHours: c.NodeTime(now).Hours(), Grew: resized(c.Grew), Shrank: resized(c.Shrank), Trouble: st.Trouble, Coming: st.Coming}
	f.GPUsTaken, f.GPUs = c.Taken()
	for _, n := range c.Nodes {
		switch {
		case n.Phase == schedule.Creating:
			f.Creating++
		case n.Phase == schedule.Leaving:
			f.Leaving++
		case len(n.Has()) > 0:
			f.Busy++
			fallthrough
		default:
			f.Ready++
		}
	}
	for _, j := range c.Jobs {
		if j.Waits() {
			f.Queued++
		}
	}
	return f
}

func resized(h schedule.Change) target.Resized { return target.Resized(h) }

// Keep implements target.Keeper: it makes a pass over every cluster that has nodes, or
// should have some, and removes what cleaned jobs have left.
func (d Driver) Keep(ctx context.Context) error {
	homes, err := d.homes()
	errs := []error{err}
	for _, home := range homes {
		errs = append(errs, home.keep(ctx))
	}
	return errors.Join(errs...)
}

func (d Driver) keep(ctx context.Context) error {
	names, err := d.places()
	errs := []error{err, d.jobs.Keep(ctx)}
	for _, name := range names {
		st, err := d.place(name).read()
		if err == nil && (len(st.Cluster.Nodes) > 0 || len(st.Cluster.Jobs) > 0 || st.Cluster.Limits.Min > 0) && !d.elsewhere(st) {
			t := target.Target{Name: name, Kind: "cluster"}
			err = d.over(ctx, t, nil)
			d.lookFar(t, st)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// elsewhere reports whether a cluster is one of another computer's shares, which keeps it.
func (d Driver) elsewhere(st *state) bool {
	me, err := os.Hostname()
	return d.shared != "" && st.Machine != "" && err == nil && st.Machine != me
}

// Rests implements target.Restless: nodes above the fewest leave once they were idle for
// long enough, those that are lent have to be vouched for, and clusters of runs have to
// vanish.
func (d Driver) Rests(context.Context) (bool, error) {
	homes, err := d.homes()
	for _, home := range homes {
		names, fault := home.places()
		if fault != nil {
			return false, fault
		}
		for _, name := range names {
			st, fault := home.memory.look(home.place(name))
			if fault != nil || home.elsewhere(st) {
				continue // nobody here can do anything about it
			}
			lent := st.Cluster.Limits.Lent && len(st.Cluster.Nodes) > 0
			if lent || len(st.Cluster.Nodes) > st.Cluster.Limits.Min || strings.Contains(name, runMark) && home.ours(name) {
				return false, err
			}
		}
	}
	return true, err
}
