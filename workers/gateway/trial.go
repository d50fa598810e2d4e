package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// trial is a rollout under way.
type trial struct {
	version *version
	cancel  context.CancelFunc
	done    chan struct{}
	since   time.Time
	answer  json.RawMessage // after done
	err     error           // after done
}

// judge ends a trial that is over: it goes live, or it has failed.
func (g *gateway) judge(ctx context.Context, e *endpoint) error {
	t := e.trial
	if t == nil || !t.over() {
		return nil
	}
	if t.err != nil && ctx.Err() != nil {
		return nil // it is this gateway that ends, not the trial
	}
	if t.err == nil && !g.listening() {
		if time.Since(t.since) < t.version.Ready {
			return nil
		}
		t.err = errors.New(g.now().Reason)
	}
	err := g.locked(ctx, wishesLock, func() error {
		d, err := readDeployment(t.version.dir)
		if err != nil || !d.pending() {
			return ignoreMissing(err) // withdrawn, superseded or retired meanwhile
		}
		return g.settle(ctx, e, t)
	})
	if err != nil {
		return fmt.Errorf("record the end of %s: %w", t.version.ID, err)
	}
	e.trial = nil
	d, err := readDeployment(t.version.dir)
	if err != nil {
		return ignoreMissing(err)
	}
	if d.end != nil {
		g.log.Info("the rollout has ended", "endpoint", e.name, "deployment", d.ID, "state", d.end.State, "reason", d.end.Reason)
	}
	return nil
}

// settle records the end of a trial. Traffic moves before the record is there,
// because whoever reads it may ask the new version at once; a gateway that dies
// in between has only tried the new version on a few requests.
func (g *gateway) settle(ctx context.Context, e *endpoint, t *trial) error {
	o := outcome(t.answer, t.err)
	if o.State != target.Succeeded {
		return conclude(t.version.dir, o)
	}
	old := e.table.Load()
	if !t.version.Held {
		k, err := g.readKeys(e.name)
		if err = ignoreMissing(err); err != nil {
			return err
		}
		e.table.Store(alone(t.version, k))
	}
	if err := conclude(t.version.dir, o); err != nil {
		e.table.Store(old)
		return err
	}
	e.versions[t.version.ID] = t.version
	g.keep(ctx, t.version)
	return nil
}

// follow tries the deployment that is wished for, and gives up any other.
func (g *gateway) follow(ctx context.Context, e *endpoint, d *deployment) error {
	if t := e.trial; t != nil {
		if d != nil && t.version.ID == d.ID {
			return nil
		}
		t.cancel()
		if !t.over() {
			return nil // its end is reported; what it started is swept then
		}
		e.trial = nil
	}
	if d == nil {
		return nil
	}
	v, err := g.version(*d)
	if err != nil {
		return err
	}
	t := &trial{version: v, done: make(chan struct{}), since: time.Now()}
	var trying context.Context
	trying, t.cancel = context.WithCancel(ctx)
	e.trial = t
	g.beside(ctx, func() (then func()) {
		defer close(t.done)
		t.answer, t.err = t.version.try(trying)
		return func() {}
	})
	return nil
}

func (t *trial) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}
