package ssh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// overtime is how long after its timeout a job is stopped by whoever looks. The host does
// so by itself; this is for the case that somebody killed what waits for it there.
const overtime = 5 * time.Second

// Status implements target.Driver. It also stops the other ranks of a job of which one
// has failed: hosts know nothing of each other.
func (d Driver) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	if !target.ValidID(id) {
		return unknown(), nil
	}
	hosts, err := d.place(t, id)
	if err != nil {
		return target.Status{}, err
	}
	r, views, err := d.look(ctx, hosts, id)
	switch {
	case err != nil:
		return target.Status{}, err
	case !views[0].Known:
		return unknown(), nil
	}
	plain := make([]jobdir.View, len(views))
	for i, v := range views {
		plain[i] = v.View
	}
	if slices.ContainsFunc(plain, func(v jobdir.View) bool { return !ranks.Ended(v) }) {
		return d.statusOfRunning(ctx, hosts, id, r, views, plain)
	}
	d.waiting.forget(id)
	return ranks.Verdict(r.facts(), plain), nil
}

func unknown() target.Status {
	return target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "the host knows no such job"}
}

// look looks at every rank of a job, at rank 0 first: it alone knows how many there are.
func (d Driver) look(ctx context.Context, hosts []host, id string) (record, []remote.View, error) {
	v, err := hosts[0].Look(ctx, remote.Unit(id, 0))
	if err != nil {
		return record{}, nil, hosts[0].blame(err)
	}
	views := []remote.View{v}
	if !v.Known {
		return record{Nodes: 1}, views, nil
	}
	r, ok, err := recordOf(ctx, hosts[0], id)
	if err != nil || !ok || r.Nodes > len(hosts) {
		return record{Nodes: 1}, views, err
	}
	seats := r.seats(hosts)
	views = append(views, make([]remote.View, len(seats)-1)...)
	return r, views, each(seats[1:], func(i int, h host) (err error) {
		views[i+1], err = h.Look(ctx, remote.Unit(id, i+1))
		return err
	})
}

// each does something with several hosts at once.
func each(hosts []host, do func(i int, h host) error) error {
	errs := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			if err := do(i, h); err != nil {
				errs[i] = h.blame(err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (d Driver) statusOfRunning(ctx context.Context, hosts []host, id string, r record, views []remote.View, plain []jobdir.View) (target.Status, error) {
	st := target.Status{State: target.Waiting, Notes: ranks.Notes(plain), Start: ranks.Begin(plain)}
	late := false
	for _, v := range views {
		if v.Phase != jobdir.New {
			st.State = target.Running
		}
		late = late || v.Phase == jobdir.Running && r.Timeout > 0 && v.Now.Sub(v.Start) > r.Timeout+overtime
	}
	why := target.CauseTimeout
	if n := ranks.Decides(plain); n >= 0 {
		why = ranks.PeerCause(plain[n])
	} else if !late {
		return d.startWaiting(ctx, hosts, id, r, plain, st)
	}
	return st, each(r.seats(hosts), func(n int, h host) error {
		if ranks.Ended(plain[n]) {
			return nil
		}
		return h.Stop(ctx, remote.Unit(id, n), string(why))
	})
}

// startWaiting starts a job that waits for GPUs, if it has them now.
func (d Driver) startWaiting(ctx context.Context, hosts []host, id string, r record, plain []jobdir.View, st target.Status) (target.Status, error) {
	if r.GPUs == 0 || !slices.ContainsFunc(plain, func(v jobdir.View) bool { return v.Phase == jobdir.New }) {
		return st, nil
	}
	why, err := d.waiting.start(ctx, id, r, hosts[:r.Nodes], r.seats(hosts))
	if st.State == target.Waiting {
		st.Reason = why
	}
	return st, err
}
