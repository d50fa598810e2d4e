package ssh

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Cancel implements target.Driver. It marks rank 0 first, also when nothing was submitted
// yet: a submission looks at that mark before it starts any rank.
func (d Driver) Cancel(ctx context.Context, t target.Target, id string, why target.Cause) error {
	hosts, err := d.place(t, id)
	if err != nil {
		return err
	}
	if err := hosts[0].Stop(ctx, remote.Unit(id, 0), string(why)); err != nil {
		return hosts[0].blame(err)
	}
	d.waiting.forget(id)
	r, ok, err := recordOf(ctx, hosts[0], id)
	if err != nil || !ok {
		return err
	}
	return each(r.seats(hosts)[1:], func(i int, h host) error {
		return h.Stop(ctx, remote.Unit(id, i+1), string(why))
	})
}

// Clean implements target.Driver. Rank 0 goes last, as it alone knows of the others.
func (d Driver) Clean(ctx context.Context, t target.Target, id string) error {
	hosts, err := d.place(t, id)
	if err != nil {
		return err
	}
	r, views, err := d.look(ctx, hosts, id)
	if err != nil || !views[0].Known {
		return err
	}
	for _, v := range views {
		if v.Phase == jobdir.Running {
			return fmt.Errorf("clean job %q: cancel it first: %w", id, remote.ErrRunning)
		}
	}
	seats := r.seats(hosts)
	for n := len(seats) - 1; n >= 0; n-- {
		if err := seats[n].Clean(ctx, remote.Unit(id, n)); err != nil {
			return seats[n].blame(fmt.Errorf("clean job %q: %w", id, err))
		}
	}
	return nil
}
