package gateway

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// up starts the process unless it runs already, and returns when it is ready.
func (i *instance) up(ctx context.Context) error {
	if err := i.begin(ctx); err != nil {
		return err
	}
	limit, cancel := context.WithTimeoutCause(ctx, i.of.Ready, errSlow)
	defer cancel()
	said := errors.New("it gave no answer")
	for pause := probeFirst; ; pause = min(pause*5/4, lookEvery) {
		v, err := i.look(ctx)
		if err != nil {
			return err
		}
		if v.Phase != jobdir.Running && v.Phase != jobdir.New {
			return i.ended(v)
		}
		if was := i.view(); was.Ready && v.PID == was.PID {
			return nil // found again, and it was ready before
		}
		err = i.probe(limit)
		if err == nil {
			i.change(func(s *start) { s.Ready, s.State, s.PID, s.Reason = true, target.Running, v.PID, "" })
			return nil
		}
		if limit.Err() == nil {
			said = err // and not that we have stopped asking
		}
		if err := sleep(limit, pause); errors.Is(err, errSlow) {
			return i.fail("was not ready within %v: GET %s: %v%s", i.of.Ready, i.of.Health, said, i.hint())
		} else if err != nil {
			return err
		}
	}
}

var errSlow = errors.New("not ready in time")

// hint says what mostly keeps an instance from being reached where it is.
func (i *instance) hint() string {
	if l, err := i.life(); err == nil && l.seat.Listen != "" && l.seat.Listen != loopback {
		return "; a server there has to listen at $AMLFLOW_LISTEN, which is " + l.seat.Listen + ", and at $PORT"
	}
	return ""
}

// begin starts the process of the present start, for the first time or because
// whoever wanted to start it died in between.
func (i *instance) begin(ctx context.Context) error {
	if i.view().Port == 0 {
		return i.next(ctx, "", false)
	}
	return i.launch(ctx)
}

// look says how the process of the present start is.
func (i *instance) look(ctx context.Context) (jobdir.View, error) {
	l, err := i.life()
	if err != nil {
		return jobdir.View{}, err
	}
	return i.maker.look(ctx, l)
}

// next begins another start, on a fresh port and in a fresh folder.
func (i *instance) next(ctx context.Context, why string, restart bool) error {
	var err error
	l := life{of: i.of, number: i.number, start: i.lastStart() + 1}
	if l.seat, err = i.maker.seat(ctx, l); err != nil {
		return err
	}
	return i.nextAt(ctx, l, why, restart)
}

// nextAt is next for a start that has its seat.
func (i *instance) nextAt(ctx context.Context, l life, why string, restart bool) error {
	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return err
	}
	old, err := i.life()
	if err != nil {
		return err
	}
	if err := i.pull(ctx); err != nil {
		i.log.Warn("the end of the log of the last start is lost", "error", err)
	}
	if err := i.take(l); err != nil {
		return err
	}
	var size int64
	if info, err := os.Stat(logPath(i.dir)); err == nil {
		size = info.Size()
	}
	i.change(func(s *start) {
		*s = start{Start: l.start, Port: l.seat.Port, Host: l.seat.Host, State: target.Waiting, Reason: why, Restarts: s.Restarts, LogFrom: size}
		if restart {
			s.Restarts++
		}
	})
	if old.start = l.start - 1; old.start > 0 && i.of.here() {
		// The log is not in it, and its end has been reported.
		_ = i.maker.clean(ctx, old)
	}
	return i.launch(ctx)
}

// take puts on record where the next start is to be, before anything is there.
func (i *instance) take(l life) error {
	if i.of.here() {
		return nil // the process folder is the record
	}
	if err := os.MkdirAll(l.dir(), 0o700); err != nil {
		return err
	}
	return errors.Join(writeDurable(l.dir(), seatFile, l.seat), syncPath(i.dir))
}

// lastStart returns the number of the last folder of a start, whatever the record
// says: a folder never serves twice.
func (i *instance) lastStart() int {
	last := i.view().Start
	var before int
	if readJSON(i.dir, lastFile, &before) == nil {
		last = max(last, before)
	}
	entries, _ := os.ReadDir(i.dir)
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// remember keeps the number of the last start when the folders of starts go. On this
// computer a folder is all that a start is; elsewhere it is a job, whose id never comes again.
func (i *instance) remember() error {
	if i.of.here() {
		return nil
	}
	return writeDurable(i.dir, lastFile, i.lastStart())
}

var errUnstarted = errors.New("could not be started")

func (i *instance) launch(ctx context.Context) error {
	l, err := i.life()
	if err != nil {
		return err
	}
	if err = i.maker.begin(ctx, l); errors.Is(err, errUnstarted) {
		return i.fail("%v", err)
	}
	return err
}

// tidy ends what earlier starts have left on machines that could not be reached then,
// until ctx ends.
func (i *instance) tidy(ctx context.Context) {
	for ctx.Err() == nil {
		all, err := i.of.lives(i.number)
		for _, l := range all {
			if err == nil && l.start < i.view().Start {
				err = finish(ctx, i.maker, l)
			}
		}
		if err != nil && ctx.Err() == nil {
			i.log.Warn("an earlier start of the instance is not gone yet", "error", err)
		}
		_ = sleep(ctx, tidyEvery)
	}
}

// ended says in words how the process ended.
func (i *instance) ended(v jobdir.View) *failure {
	switch {
	case v.Phase == jobdir.Lost:
		f := i.fail("was lost: %s", v.Reason)
		f.again = true
		return f
	case v.OOM:
		return i.fail("ran out of memory: it may use %s", jobdir.FormatBytes(i.of.Needs.Memory))
	case v.Unstarted:
		return i.fail("could not be started: the shell or the interpreter was not found (exit status %d)", v.Status)
	case v.Signal() != 0:
		return i.fail("was ended by signal %d", v.Signal())
	}
	f := i.fail("ended by itself with exit status %d", v.Status)
	f.again = v.Status == portTaken && i.of.Score != ""
	return f
}
