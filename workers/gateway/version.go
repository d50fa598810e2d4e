package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// The defaults of target.Limits.
const (
	drainFor       = 30 * time.Second // bounds how long the requests to an old version may go on
	defaultQueue   = 100
	defaultTimeout = 5 * time.Minute
)

// version is a deployment with its instances in this process.
type version struct {
	deployment
	places   *places
	inflight atomic.Int64 // requests that may still be sent to an instance
	copies   atomic.Int64 // of requests, that it answers as a mirror
	answers  atomic.Bool  // it has a share of the requests
	meter    *meter
	maker    maker
	log      *slog.Logger

	ctx     context.Context    // of the keeping
	stop    context.CancelFunc // ends the keeping, not the processes
	keepers sync.WaitGroup
}

func (g *gateway) version(d deployment) (*version, error) {
	v := &version{deployment: d, stop: func() {}, meter: newMeter(d.dir)}
	v.log = g.log.With("endpoint", d.Endpoint, "deployment", d.ID)
	var err error
	if v.maker, err = g.maker(&v.deployment, &g.ports); err != nil {
		return nil, err
	}
	v.places = &places{each: d.Limits.Concurrent, queue: d.Limits.Queue, grows: d.Scale != nil}
	if v.places.queue <= 0 {
		v.places.queue = defaultQueue
	}
	for _, n := range d.numbers() {
		v.places.add(v.instance(n))
	}
	return v, nil
}

func (v *version) instance(n int) *instance {
	i := newInstance(&v.deployment, n, v.maker, v.log)
	i.changed = v.places.changed
	return i
}

// numbers are those of the instances that there are, or that are to be the first.
func (d *deployment) numbers() []int {
	if d.Scale == nil {
		return count(d.Instances)
	}
	if d.end == nil { // one at least has to answer the sample
		return count(max(min(d.Instances, d.Scale.Max), d.Scale.Min, 1))
	}
	if found := d.recorded(); len(found) > d.Scale.Min {
		return found
	}
	return count(d.Scale.Min)
}

func count(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// recorded are the numbers of the instances that have a record, in order.
func (d *deployment) recorded() []int {
	var found []int
	entries, _ := os.ReadDir(filepath.Join(d.dir, instancesDir))
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && exists(instanceDir(d.dir, n), nowFile) {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found
}

// keep keeps all instances alive, as many as there are to be, and measures them, until
// release.
func (g *gateway) keep(ctx context.Context, v *version) {
	g.meters.add(v.meter)
	v.ctx, v.stop = context.WithCancel(ctx)
	for _, i := range v.places.all() {
		v.tend(i)
	}
	if v.Scale != nil {
		s := newScaling(v)
		v.keepers.Go(s.run)
	}
}

// tend keeps one instance alive until release, or until it is told to leave.
func (v *version) tend(i *instance) {
	var ctx context.Context
	ctx, i.leave = context.WithCancel(v.ctx)
	i.left = make(chan struct{})
	v.keepers.Go(func() {
		defer close(i.left)
		i.keep(ctx)
	})
	if !v.here() {
		v.keepers.Go(func() { i.tidy(ctx) })
	}
}

// release ends the keeping; the processes go on.
func (v *version) release() {
	v.stop()
	v.keepers.Wait()
}

// drain waits for the requests that were sent here before traffic moved on.
func (v *version) drain(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, v.drainFor())
	defer cancel()
	for v.inflight.Load() > 0 && sleep(limit, 5*time.Millisecond) == nil {
	}
}

func (v *version) drainFor() time.Duration {
	if v.Limits.Drain > 0 {
		return v.Limits.Drain
	}
	return drainFor
}

func (v *version) timeout() time.Duration {
	if v.Limits.Timeout > 0 {
		return v.Limits.Timeout
	}
	return defaultTimeout
}

// try starts all instances, and sends the sample to each. It returns the answer
// of the first, or a *failure. Instances that run already are found again.
func (v *version) try(ctx context.Context) (json.RawMessage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := v.places.all()
	answers := make([]json.RawMessage, len(all))
	var wg sync.WaitGroup
	for n, i := range all {
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
	err := i.reached(ctx)
	var f *failure
	for tries := 1; errors.As(err, &f) && f.again && tries < 5; tries++ {
		if err = i.next(ctx, f.reason, false); err == nil || errors.Is(err, target.ErrUnreachable) {
			err = i.reached(ctx)
		}
	}
	if err != nil || i.of.Sample == nil {
		return nil, err
	}
	return i.trySample(ctx)
}

// reached is up that waits for a machine which is out of reach, as long as an instance
// may take to be ready.
func (i *instance) reached(ctx context.Context) error {
	began := time.Now()
	for {
		err := i.up(ctx)
		if !errors.Is(err, target.ErrUnreachable) || ctx.Err() != nil {
			return err
		}
		if time.Since(began) > i.of.Ready {
			return i.fail("was out of reach for %v: %v", i.of.Ready, err)
		}
		i.change(func(s *start) { s.Ready, s.State, s.Reason = false, target.Waiting, err.Error() })
		if err := sleep(ctx, awayPause); err != nil {
			return err
		}
	}
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
