package ssh

import (
	"context"
	"fmt"
	"io"

	"github.com/amlflow/amlflow/workers/ranks"
	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	hosts, err := d.place(t, id)
	if err != nil {
		return offset, err
	}
	if offset < 0 || s.Rank < 0 {
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	}
	name, ok := map[string]string{target.Log: remote.LogFile, target.Metrics: ranks.MetricsFile}[s.Name]
	if !ok {
		return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
	}
	h := hosts[0]
	if s.Rank > 0 {
		r, ok, err := recordOf(ctx, h, id)
		seats := r.seats(hosts)
		if err != nil || !ok || s.Rank >= len(seats) {
			return offset, err
		}
		h = seats[s.Rank]
	}
	n, err := h.Read(ctx, remote.Unit(id, s.Rank), name, offset, w)
	if err != nil {
		err = h.blame(fmt.Errorf("read the %s of job %q: %w", s.Name, id, err))
	}
	return n, err
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	st, err := d.Status(ctx, t, id)
	if err != nil {
		return target.Results{}, err
	}
	if !st.State.Ended() {
		return target.Results{}, fmt.Errorf("job %q is %s: its results can be collected once it has ended", id, st.State)
	}
	hosts, err := d.place(t, id)
	if err != nil {
		return target.Results{}, err
	}
	r, ok, err := recordOf(ctx, hosts[0], id)
	if err != nil || !ok {
		return target.Results{}, err // one that never was leaves nothing
	}
	res, err := collect(ctx, hosts, id, r, st.Rank, out)
	if err != nil {
		return res, fmt.Errorf("collect job %q: %w", id, err)
	}
	return res, nil
}

func collect(ctx context.Context, hosts []host, id string, r record, decider int, out target.Blobs) (target.Results, error) {
	names := remote.Wanted(r.Outputs)
	seats := r.seats(hosts)
	left := make([]remote.Leaver, len(seats))
	err := each(seats, func(n int, h host) (err error) {
		left[n] = remote.Leaver{Machine: h.Machine, Unit: remote.Unit(id, n)}
		left[n].Left, err = h.Report(ctx, left[n].Unit, names)
		return err
	})
	if err != nil {
		return target.Results{}, err
	}
	return remote.Collect(ctx, left[0], left[decider], r.Outputs, out)
}
