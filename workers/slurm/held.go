package slurm

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Nodes that are held.
//
// A managed cluster has Slurm lend it nodes for longer than one job: each is a job of Slurm
// of its own, a hold, which starts what it finds in its folder (tool/held.sh). A job of a
// target whose settings name holds is not queued by Slurm, but given to these, a node each.
// All else about it is as ever: it starts once, and what the nodes have written counts.
// Slurm is asked whether the nodes of a job are still lent when a rank has not ended.

// Hold is how one hold is.
type Hold struct {
	Here   bool   // the node is there, and takes jobs
	Over   bool   // it has ended, and will never take any more
	Asked  bool   // Slurm was asked for it
	Old    bool   // what holds it is of an earlier amlflow, and does not know all that jobs need
	Reason string // why it is not there, for people
}

// Lease is how long a hold stays that has nothing to do, and for which nobody vouches.
const Lease = 3 * time.Minute

// Hold asks Slurm for a node which has what need says, once for a name, which is never
// used again.
func (d Driver) Hold(ctx context.Context, t target.Target, name string, need target.Resources) error {
	c, err := d.cluster(t)
	if err != nil {
		return err
	}
	leave, err := d.turns.Take(ctx, c.settings.place()+"\n"+name)
	if err != nil {
		return err
	}
	defer leave()
	stage, err := c.Begin(ctx, name)
	if err != nil || stage != remote.Unfilled {
		return err // it was let go
	}
	need.Nodes = 1
	request := c.settings.request(target.Job{ID: name, Needs: need})
	_, err = c.call(ctx, lines(append(request, "", "# whole")...), "enqueue", name, "1", strconv.Itoa(int(Lease.Seconds())), "hold")
	return err
}

// Holds tells how holds are, by their names, and vouches for them.
func (d Driver) Holds(ctx context.Context, t target.Target, names []string) (map[string]Hold, error) {
	if len(names) == 0 {
		return nil, nil
	}
	c, err := d.cluster(t)
	if err != nil {
		return nil, err
	}
	text, err := c.call(ctx, nil, "holds", names...)
	if err != nil {
		return nil, err
	}
	all := map[string]Hold{}
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) >= 3 {
			h := parseHold(f[1] != "-", f[2], strings.Join(f[3:], " "))
			h.Old = f[1] == "old"
			all[f[0]] = h
		}
	}
	return all, nil
}

func parseHold(up bool, state, reason string) Hold {
	q := queued{State: state, Reason: reason}
	switch {
	case state == "UNASKED":
		return Hold{Reason: "Slurm is about to be asked for it"}
	case state == "UNKNOWN":
		return Hold{Asked: true, Here: up, Reason: "Slurm does not say how it is"}
	case state == "PENDING":
		return Hold{Asked: true, Reason: q.why()}
	case active(state):
		return Hold{Asked: true, Here: up && state != "COMPLETING", Reason: "its allocation is " + strings.ToLower(state)}
	}
	return Hold{Asked: true, Over: true, Reason: "its allocation has ended in Slurm: " + strings.TrimSpace(state+" "+reason)}
}

// LetGo ends a hold, and reports whether it has ended.
func (d Driver) LetGo(ctx context.Context, t target.Target, name string) (bool, error) {
	c, err := d.cluster(t)
	if err != nil {
		return false, err
	}
	text, err := c.call(ctx, nil, "letgo", name)
	return err == nil && strings.TrimSpace(text) == "", err
}

// assign gives a job that is laid out to its holds.
func (c *cluster) assign(ctx context.Context, job target.Job, r record) error {
	confided := append(jobdir.Process{Secrets: variables(job.Secrets)}.Confided(), "# whole\n"...)
	_, err := c.call(ctx, func(w io.Writer) error {
		if err := lines(slices.Concat([]string{strconv.Itoa(job.Needs.GPUs)}, c.settings.Held, []string{""})...)(w); err != nil {
			return err
		}
		_, err := w.Write(confided)
		return err
	}, "assign", job.ID, strconv.Itoa(r.Ranks), strconv.Itoa(job.PerNode()), launcher(job), c.settings.lent(job.Needs.GPUs))
	if err != nil {
		return fmt.Errorf("submit job %q: %w", job.ID, err)
	}
	return nil
}

// lent says which GPUs of its nodes a job sees, as cut takes a list: counted from 1.
func (s settings) lent(gpus int) string {
	if len(s.Lent) == 0 {
		return fmt.Sprintf("1-%d", max(gpus, 1))
	}
	var all []string
	for _, slot := range s.Lent {
		all = append(all, strconv.Itoa(slot+1))
	}
	return strings.Join(all, ",")
}

// statusOfHeld goes on where statusOfRunning does not ask Slurm for the job, but for the
// nodes that it has.
func (c *cluster) statusOfHeld(ctx context.Context, id string, r record, st target.Status) (target.Status, error) {
	here := 0
	for _, name := range r.Held {
		q, known, err := c.seen(ctx, name)
		switch {
		case ctx.Err() != nil:
			return st, context.Cause(ctx)
		case err != nil:
			st.Reason = err.Error() // which says nothing about the job
			return st, nil
		case known && active(q.State):
			here++
		}
	}
	if here == len(r.Held) {
		return st, nil
	}
	over, err := c.lapse(ctx, id, r.Ranks)
	if err != nil || !over {
		return st, err
	}
	_, views, err := c.look(ctx, id)
	if err != nil || slices.ContainsFunc(views, unended) {
		return st, err
	}
	return c.verdict(ctx, id, r, views)
}

// Lapse has those ranks of a job end whose nodes are lent no more, and reports whether
// there are any.
func (d Driver) Lapse(ctx context.Context, t target.Target, id string) (bool, error) {
	c, err := d.cluster(t)
	if err != nil {
		return false, err
	}
	r, ok, err := c.recordOf(ctx, id)
	if err != nil || !ok {
		return false, err
	}
	return c.lapse(ctx, id, r.Ranks)
}

// lapse has those ranks of a job end whose nodes are lent no more, and reports whether
// there are any.
func (c *cluster) lapse(ctx context.Context, id string, ranks int) (bool, error) {
	text, err := c.call(ctx, nil, "lapse", id, strconv.Itoa(ranks))
	for n := range ranks {
		c.Forget(remote.Unit(id, n))
	}
	return strings.TrimSpace(text) != "", err
}

// rulingOfHeld is what Slurm says of ranks that cannot tell why they have ended; wait: it
// has still to say.
func (c *cluster) rulingOfHeld(ctx context.Context, id string, r record, views []jobdir.View) (why ruling, wait bool, err error) {
	over, err := c.lapse(ctx, id, r.Ranks)
	if err != nil {
		return why, true, err
	}
	if over {
		if why, err = c.settle(ctx, id, r.Ranks, ruling{}); err != nil || why.cause != "" {
			return why, err != nil, err
		}
	}
	if slices.ContainsFunc(views, func(v jobdir.View) bool { return v.Stopped == told }) {
		return why, true, nil
	}
	// For good: once the hold is gone it could not be told any more from one that was killed
	// with its node.
	why, err = c.settle(ctx, id, r.Ranks, ruling{causeExit, "the node was there when it ended"})
	return why, err != nil, err
}

// Vet refuses a job that the target can never run.
func (d Driver) Vet(t target.Target, job target.Job) error {
	c, err := d.cluster(t)
	if err == nil {
		_, err = c.newRecord(job)
	}
	return err
}
