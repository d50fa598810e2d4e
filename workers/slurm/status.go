package slurm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Status implements target.Driver. What the nodes have written counts. Slurm is asked why a
// job waits, whether it has one at all that is not known to have ended, and for an end that
// the node cannot explain.
func (d Driver) Status(ctx context.Context, t target.Target, id string) (target.Status, error) {
	if !target.ValidID(id) {
		return unknown(), nil
	}
	c, err := d.cluster(t)
	if err != nil {
		return target.Status{}, err
	}
	r, views, err := c.look(ctx, id)
	switch {
	case err != nil:
		return target.Status{}, err
	case !views[0].Known:
		return unknown(), nil
	case slices.ContainsFunc(views, unended):
		return c.statusOfRunning(ctx, id, r, views)
	}
	return c.verdict(ctx, id, r, views)
}

func unended(v remote.View) bool { return !ranks.Ended(v.View) }

func unknown() target.Status {
	return target.Status{State: target.Lost, Cause: target.CauseLost, Reason: "the cluster knows no such job"}
}

// look looks at every rank of a job, at rank 0 first: it alone knows how many there are.
func (c *cluster) look(ctx context.Context, id string) (record, []remote.View, error) {
	v, err := c.Look(ctx, remote.Unit(id, 0))
	if err != nil {
		return record{}, nil, c.blame(err)
	}
	views := []remote.View{v}
	if !v.Known {
		return record{Ranks: 1}, views, nil
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok {
		return record{Ranks: 1}, views, err
	}
	views = append(views, make([]remote.View, r.Ranks-1)...)
	return r, views, each(1, r.Ranks, func(n int) (err error) {
		views[n], err = c.Look(ctx, remote.Unit(id, n))
		return err
	})
}

// each does something for some ranks at once.
func each(from, to int, do func(n int) error) error {
	errs := make([]error, max(to, 0))
	var all sync.WaitGroup
	for n := from; n < to; n++ {
		all.Go(func() { errs[n] = do(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// statusOfRunning is that of a job of which a rank has not ended, as far as is written.
func (c *cluster) statusOfRunning(ctx context.Context, id string, r record, views []remote.View) (target.Status, error) {
	plain := processes(views)
	st := target.Status{State: target.Waiting, Start: ranks.Begin(plain)}
	if slices.ContainsFunc(plain, func(v jobdir.View) bool { return v.Phase != jobdir.New }) {
		st.State = target.Running
	}
	if n := ranks.Decides(plain); n >= 0 {
		// Ranks stop each other, but not those that have not begun.
		why := ranks.PeerCause(plain[n])
		err := each(0, r.Ranks, func(n int) error {
			if !unended(views[n]) {
				return nil
			}
			return c.Stop(ctx, remote.Unit(id, n), string(why))
		})
		if err != nil {
			return st, c.blame(err)
		}
	}
	if len(r.Held) > 0 {
		return c.statusOfHeld(ctx, id, r, st)
	}
	q, known, err := c.seen(ctx, id)
	switch {
	case ctx.Err() != nil:
		return st, context.Cause(ctx)
	case err != nil:
		st.Reason = err.Error() // which says nothing about the job
		return st, nil
	case known && q.State == "PENDING" && st.State == target.Waiting:
		st.Reason = q.why()
		return st, nil
	case known && active(q.State) && q.State != "PENDING":
		return st, nil
	}
	return c.closely(ctx, id, r, st)
}

// closely is for a job that Slurm did not have a moment ago, though it has not ended.
func (c *cluster) closely(ctx context.Context, id string, r record, st target.Status) (target.Status, error) {
	d, err := c.details(ctx, id)
	begun := st.State == target.Running
	switch {
	case ctx.Err() != nil:
		return st, context.Cause(ctx)
	case err != nil:
		st.Reason = err.Error()
		return st, nil
	case d.Unasked:
		st.Reason = "it was not submitted to Slurm yet"
		return st, nil
	case active(d.State) && (d.Restarts == 0 || !begun):
		return st, nil
	}
	if _, err := c.rule(ctx, id, r.Ranks, d, begun); err != nil {
		return st, err
	}
	for n := range r.Ranks {
		c.Forget(remote.Unit(id, n))
	}
	r, views, err := c.look(ctx, id)
	if err != nil || slices.ContainsFunc(views, unended) {
		return st, err
	}
	return c.verdict(ctx, id, r, views)
}

func processes(views []remote.View) []jobdir.View {
	plain := make([]jobdir.View, len(views))
	for i, v := range views {
		plain[i] = v.View
	}
	return plain
}

// told is how a rank ended that Slurm has told to, for whatever reason.
const told = "told"

// open reports whether Slurm may have had a part in an end: KILL comes from whoever bounds
// memory, too.
func open(v jobdir.View) bool {
	return v.Stopped == told || v.Stopped == "" && v.Phase == jobdir.Ended && v.Status == 128+int(syscall.SIGKILL)
}

// settled reports whether an end was written by a ruling.
func settled(v jobdir.View) bool {
	return v.Phase == jobdir.Lost || slices.Contains([]string{string(target.CauseTimeout), string(target.CausePreempted), string(target.CauseCancel), string(target.CauseOOM), string(target.CauseStart)}, v.Stopped)
}

// verdict tells how a job ended.
func (c *cluster) verdict(ctx context.Context, id string, r record, views []remote.View) (target.Status, error) {
	plain := processes(views)
	var why ruling
	if slices.ContainsFunc(plain, open) || slices.ContainsFunc(plain, settled) {
		var err error
		if why, err = c.settle(ctx, id, r.Ranks, ruling{}); err != nil {
			return target.Status{}, err
		}
	}
	if why.cause == "" && len(r.Held) > 0 && slices.ContainsFunc(plain, open) {
		var wait bool
		var err error
		if why, wait, err = c.rulingOfHeld(ctx, id, r, plain); err != nil || wait {
			return target.Status{State: target.Running, Start: ranks.Begin(plain)}, err
		}
	}
	if why.cause == "" && slices.ContainsFunc(plain, open) {
		d, err := c.details(ctx, id)
		if err != nil || active(d.State) && d.Restarts == 0 {
			// It is over, and Slurm has still to say why.
			return target.Status{State: target.Running, Start: ranks.Begin(plain)}, err
		}
		if why, err = c.rule(ctx, id, r.Ranks, d, true); err != nil {
			return target.Status{}, err
		}
	}
	return judge(r, plain, why), nil
}

// judge applies a ruling to the ranks that it is about.
func judge(r record, plain []jobdir.View, why ruling) target.Status {
	for i, v := range plain {
		if open(v) {
			plain[i].Stopped = ""
			if why.cause != causeExit && why.cause != string(target.CauseLost) {
				plain[i].Stopped = why.cause
			}
		}
	}
	st := ranks.Verdict(r.facts(), plain)
	n := st.Rank
	switch {
	case plain[n].Stopped == string(target.CauseOOM), plain[n].Stopped == string(target.CauseStart):
		st.State, st.Cause = target.Failed, target.Cause(plain[n].Stopped)
	case plain[n].Stopped == "" || why.cause != plain[n].Stopped:
		return st
	}
	st.Reason = strings.TrimSpace(why.words)
	return st
}
