package ssh

import (
	"context"
	"io"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// Read implements target.Driver.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	return remote.ReadStream(ctx, id, s, offset, w, func(rank int) (remote.Seat, error) {
		hosts, err := d.place(t, id)
		if err != nil {
			return remote.Seat{}, err
		}
		if rank == 0 {
			return hosts[0].seat(id, 0), nil
		}
		r, ok, err := recordOf(ctx, hosts[0], id)
		if seats := r.seats(hosts); err == nil && ok && rank < len(seats) {
			return seats[rank].seat(id, rank), nil
		}
		return remote.Seat{}, err
	})
}

// Collect implements target.Driver.
func (d Driver) Collect(ctx context.Context, t target.Target, id string, out target.Blobs) (target.Results, error) {
	return remote.CollectJob(ctx, d, t, id, out, func() ([]remote.Seat, []target.Artifact, error) {
		hosts, err := d.place(t, id)
		if err != nil {
			return nil, nil, err
		}
		r, ok, err := recordOf(ctx, hosts[0], id)
		if err != nil || !ok {
			return nil, nil, err
		}
		var all []remote.Seat
		for n, h := range r.seats(hosts) {
			all = append(all, h.seat(id, n))
		}
		return all, r.Outputs, nil
	})
}

// seat is where rank n of a job is, which this host has.
func (h host) seat(id string, n int) remote.Seat {
	return remote.Seat{Machine: h.Machine, Unit: remote.Unit(id, n), Blame: h.blame}
}
