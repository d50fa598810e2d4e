package gateway

import (
	"bytes"
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
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, target.ErrUnreachable) {
			doubted = true
			i.outOfReach(ctx, err)
			continue
		}
		i.away = time.Time{}
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
		if doubted = errors.Is(err, errDoubt) || errors.Is(err, target.ErrUnreachable); doubted {
			continue
		}
		i.log.Warn("the instance is restarted", "reason", err, "after", pause)
		i.change(func(s *start) { s.Ready, s.PID, s.State, s.Reason = false, 0, target.Failed, err.Error() })
		if err := i.stop(ctx); ctx.Err() != nil || sleep(ctx, pause) != nil {
			return
		} else if err != nil {
			i.log.Error("stop what is left of the instance", "error", err)
			continue
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
		case <-time.After(i.maker.pace()):
		}
		v, err := i.look(ctx)
		switch {
		case errors.Is(err, target.ErrUnreachable) && i.probe(ctx) == nil:
			// Nobody tells how it is, and it answers: that is what counts.
		case err != nil:
			return err
		case v.Phase != jobdir.Running:
			return i.ended(v)
		case doubt && !i.ready():
			return errDoubt
		}
	}
}

// stop ends the process of the present start.
func (i *instance) stop(ctx context.Context) error {
	l, err := i.life()
	if err != nil {
		return err
	}
	return i.maker.end(ctx, l)
}

// outOfReach waits a moment, since nobody knows how the process is: it may be well. When
// that takes long another one is begun on a machine that can be reached, if there is one.
func (i *instance) outOfReach(ctx context.Context, err error) {
	i.failed.Store(true) // so that requests are told, and do not wait for it
	i.change(func(s *start) { s.Ready, s.State, s.Reason = false, target.Waiting, err.Error() })
	if i.away.IsZero() {
		i.away = time.Now()
		i.log.Warn("the instance is out of reach", "error", err)
	}
	if time.Since(i.away) > elsewhereAfter {
		i.away = time.Now()
		if i.move(ctx, err.Error()) {
			return
		}
	}
	_ = sleep(ctx, awayPause)
}

// move begins the instance in another place than its own, if there is one that answers.
// What is left in its own is ended when that can be reached, see tidy.
func (i *instance) move(ctx context.Context, why string) bool {
	old, err := i.life()
	if err != nil {
		return false
	}
	l := life{of: i.of, number: i.number, start: i.lastStart() + 1}
	if l.seat, err = i.maker.seat(ctx, l); err != nil || bytes.Equal(l.seat.Target.Settings, old.seat.Target.Settings) {
		return false
	}
	i.log.Warn("the instance moves", "to", l.seat.Host, "reason", why)
	if err := i.nextAt(ctx, l, why, true); err != nil {
		i.log.Error("start the instance elsewhere", "error", err)
	}
	return true
}
