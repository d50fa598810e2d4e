package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// drainFor bounds how long the requests to an old version may go on.
const drainFor = 30 * time.Second

// version is a deployment with its instances in this process.
type version struct {
	deployment
	instances []*instance
	inflight  atomic.Int64 // requests that may still be sent to an instance
	turns     atomic.Uint32
	meter     *meter

	stop    context.CancelFunc // ends the keeping, not the processes
	keepers sync.WaitGroup
}

func (g *gateway) version(d deployment) *version {
	v := &version{deployment: d, stop: func() {}, meter: newMeter(d.dir)}
	log := g.log.With("endpoint", d.Endpoint, "deployment", d.ID)
	for n := range d.Instances {
		v.instances = append(v.instances, newInstance(&v.deployment, n, &g.ports, log))
	}
	return v
}

// keep keeps all instances alive, and measures them, until release.
func (g *gateway) keep(ctx context.Context, v *version) {
	g.meters.add(v.meter)
	ctx, v.stop = context.WithCancel(ctx)
	for _, i := range v.instances {
		v.keepers.Go(func() { i.keep(ctx) })
	}
}

// release ends the keeping; the processes go on.
func (v *version) release() {
	v.stop()
	v.keepers.Wait()
}

// drain waits for the requests that were sent here before traffic moved on.
func (v *version) drain(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	for v.inflight.Load() > 0 && sleep(limit, 5*time.Millisecond) == nil {
	}
}

// try starts all instances, and sends the sample to each. It returns the answer
// of the first, or a *failure. Instances that run already are found again.
func (v *version) try(ctx context.Context) (json.RawMessage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make([]json.RawMessage, len(v.instances))
	var wg sync.WaitGroup
	for n, i := range v.instances {
		wg.Go(func() {
			answer, err := i.try(ctx)
			if err != nil {
				cancel(err) // the first failure is the reason; the rest is given up
			}
			answers[n] = answer
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return answers[0], nil
}

// try brings up one instance of a deployment that is not live. A process that
// ends is not started again, unless the machine was to blame.
func (i *instance) try(ctx context.Context) (json.RawMessage, error) {
	err := i.up(ctx)
	var f *failure
	for tries := 1; errors.As(err, &f) && f.again && tries < 5; tries++ {
		if err = i.next(ctx, f.reason, false); err == nil {
			err = i.up(ctx)
		}
	}
	if err != nil || i.of.Sample == nil {
		return nil, err
	}
	return i.trySample(ctx)
}

// outcome is the end record of a rollout that answered, or failed with err.
func outcome(answer json.RawMessage, err error) end {
	var f *failure
	switch {
	case err == nil && len(answer) > answerLimit:
		return end{State: target.Succeeded}
	case err == nil:
		return end{State: target.Succeeded, Answer: answer}
	case errors.As(err, &f):
		return end{State: target.Failed, Cause: f.cause, Reason: f.reason, Log: f.log}
	}
	return end{State: target.Failed, Reason: err.Error()}
}
