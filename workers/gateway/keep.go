package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// keep keeps the instance alive until ctx ends; the process then goes on.
func (i *instance) keep(ctx context.Context) {
	pause := firstBackoff
	doubted := true // what is found dead at first has died while nobody looked after it
	for {
		// One that was ready before has died; it is no start that came to nothing.
		was := doubted || i.ready()
		err := i.up(ctx)
		i.failed.Store(err != nil && !was)
		if err == nil {
			began := time.Now()
			if err = i.watch(ctx); time.Since(began) > lastBackoff {
				pause = firstBackoff
			}
		}
		if ctx.Err() != nil {
			return
		}
		if doubted = errors.Is(err, errDoubt); doubted {
			continue
		}
		i.log.Warn("the instance is restarted", "reason", err, "after", pause)
		i.change(func(s *start) { s.Ready, s.PID, s.State, s.Reason = false, 0, target.Failed, err.Error() })
		if stopFolder(ctx, i.folder()) != nil || sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, lastBackoff)
		if err := i.next(ctx, err.Error(), true); err != nil {
			i.log.Error("start the instance", "error", err)
		}
	}
}

var errDoubt = errors.New("it could not be reached")

// watch returns when the process has ended, with how; or with errDoubt when it
// runs but was out of reach, so that its health is to be asked again.
func (i *instance) watch(ctx context.Context) error {
	for {
		doubt := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-i.doubt:
			doubt = true
		case <-time.After(lookEvery):
		}
		v, err := jobdir.Look(i.folder())
		switch {
		case err != nil:
			return err
		case v.Phase != jobdir.Running:
			return i.ended(v)
		case doubt && !i.ready():
			return errDoubt
		}
	}
}

// stopFolder ends the process of a process folder and all it has started.
func stopFolder(ctx context.Context, dir string) error {
	if err := jobdir.Stop(dir, "stopped", stopGrace); err != nil {
		return ignoreMissing(err)
	}
	for {
		v, err := jobdir.Look(dir)
		if err != nil || v.Phase != jobdir.Running {
			return err
		}
		if err := sleep(ctx, probeFirst); err != nil {
			return err
		}
	}
}
