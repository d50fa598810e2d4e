package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/amlflow/amlflow/engine/cluster"

	"go.temporal.io/sdk/client"
)

// temporal is a Temporal to use.
type temporal struct {
	address cluster.Address
	failed  <-chan error // how an embedded one tells that it cannot go on
	stop    func()
	client  client.Client // of one that answers
}

// embeddedTries is how often the embedded Temporal is started when it does not answer.
const embeddedTries = 3

// reach returns a Temporal that answers: the external one, or the embedded one, started.
func (o Options) reach(ctx context.Context) (temporal, error) {
	dial := func(a cluster.Address) (client.Client, error) { return cluster.Dial(ctx, a, o.Log) }
	if o.Seat.External != nil {
		return reached(ctx, 1, func() (temporal, error) { return temporal{address: *o.Seat.External, stop: func() {}}, nil }, dial)
	}
	return reached(ctx, embeddedTries, func() (temporal, error) {
		s, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(o.Seat.Home, "temporal"), Logger: o.Log})
		if err != nil {
			return temporal{}, err
		}
		return temporal{address: s.Address(), failed: s.Failed(), stop: s.Stop}, nil
	}, dial)
}

// reached starts a Temporal, anew when it says that it has started and does not answer. Nobody
// else could mend that: its ports were free when they were chosen, but where many programs
// begin at once one may be another's by then.
func reached(ctx context.Context, tries int, start func() (temporal, error), dial func(cluster.Address) (client.Client, error)) (temporal, error) {
	for try := 1; ; try++ {
		t, err := start()
		if err != nil {
			return t, err
		}
		t.client, err = dial(t.address)
		if err == nil {
			return t, nil
		}
		t.stop()
		if !errors.Is(err, cluster.ErrUnreachable) {
			return t, err
		}
		select {
		case why := <-t.failed: // what it says itself is the better reason
			err = fmt.Errorf("%w: the embedded one has failed: %w", cluster.ErrUnreachable, why)
		default:
		}
		if try == tries || ctx.Err() != nil {
			return t, err
		}
	}
}
