package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Sweeper = Driver{}

// Kept implements target.Sweeper. All clusters share the folders of jobs, so that it does
// not matter which one is asked.
func (d Driver) Kept(ctx context.Context, t target.Target) ([]target.Kept, error) {
	// What is in a folder of several state folders may be needed by runs that this one does
	// not know.
	if d = d.in(t); d.shared != "" {
		return nil, nil
	}
	here, err := d.jobs.Kept(ctx, t)
	if err != nil {
		return nil, err
	}
	far, err := d.keptFar()
	if err != nil {
		return nil, err
	}
	software, err := d.keptSoftware(ctx, t)
	return slices.Concat(here, far, software), err
}

// keptSoftware lists the environments on the hosts of a cluster, which know of
// the jobs that use them. What else is there is in our own records.
func (d Driver) keptSoftware(ctx context.Context, t target.Target) ([]target.Kept, error) {
	s, err := readSettings(t)
	if err != nil || !s.far() {
		return nil, nil //nolint:nilerr // without settings that make sense there is no host to ask
	}
	all, err := d.there(s.kind).Kept(ctx, s.reach(t.Name, s.hosts...))
	return slices.DeleteFunc(all, func(k target.Kept) bool { return k.What != target.KeptEnvironment }), err
}

// Sweep implements target.Sweeper.
func (d Driver) Sweep(ctx context.Context, t target.Target, k target.Kept, before time.Time) (bool, error) {
	d = d.in(t)
	if k.What == target.KeptJob {
		if f, ok, err := d.farJob(k.Name); ok || err != nil {
			if err != nil {
				return false, err
			}
			return d.sweepFar(ctx, k.Name, f)
		}
	}
	if s, err := readSettings(t); k.What == target.KeptEnvironment && err == nil && s.far() {
		return d.there(s.kind).Sweep(ctx, s.reach(t.Name, s.hosts...), k, before)
	}
	return d.jobs.Sweep(ctx, t, k, before)
}
