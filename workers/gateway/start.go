package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		v, err := jobdir.Look(i.folder())
		if err != nil {
			return err
		}
		if v.Phase != jobdir.Running && v.Phase != jobdir.New {
			return i.ended(v)
		}
		if was := i.view(); was.Ready && v.PID == was.PID {
			return nil // found again, and it was ready before
		}
		err = probe(limit, i.address(), i.of.Health)
		if err == nil {
			i.change(func(s *start) { s.Ready, s.State, s.PID, s.Reason = true, target.Running, v.PID, "" })
			return nil
		}
		if limit.Err() == nil {
			said = err // and not that we have stopped asking
		}
		if err := sleep(limit, pause); errors.Is(err, errSlow) {
			return i.fail("was not ready within %v: GET %s: %v", i.of.Ready, i.of.Health, said)
		} else if err != nil {
			return err
		}
	}
}

var errSlow = errors.New("not ready in time")

// begin starts the process of the present start, for the first time or because
// whoever wanted to start it died in between.
func (i *instance) begin(ctx context.Context) error {
	if i.view().Port == 0 {
		return i.next(ctx, "", false)
	}
	return i.launch(ctx)
}

// next begins another start, on a fresh port and with a fresh process folder.
func (i *instance) next(ctx context.Context, why string, restart bool) error {
	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return err
	}
	port, err := i.ports.free()
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	old := i.view()
	number := i.lastStart() + 1
	var size int64
	if info, err := os.Stat(logPath(i.dir)); err == nil {
		size = info.Size()
	}
	i.change(func(s *start) {
		*s = start{Start: number, Port: port, State: target.Waiting, Reason: why, Restarts: s.Restarts, LogFrom: size}
		if restart {
			s.Restarts++
		}
	})
	i.ports.release(old.Port)
	if number > 1 {
		// The log is not in it, and its end has been reported.
		_ = jobdir.Remove(filepath.Join(i.dir, strconv.Itoa(number-1)))
	}
	return i.launch(ctx)
}

// lastStart returns the number of the last process folder, whatever the record
// says: a folder never serves twice.
func (i *instance) lastStart() int {
	last := i.view().Start
	entries, _ := os.ReadDir(i.dir)
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			last = max(last, n)
		}
	}
	return last
}

func (i *instance) launch(ctx context.Context) error {
	dir := i.folder()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(i.dir, "tmp"), 0o700); err != nil {
		return err
	}
	// All starts append to one log, so that readers need one offset only.
	if err := os.Symlink(filepath.Join("..", logFile), jobdir.Log(dir)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	p, err := i.of.process(i.number, i.dir, i.view().Port)
	if err != nil {
		return err
	}
	if err := jobdir.Start(ctx, dir, p); err != nil {
		return i.fail("could not be started: %v", err)
	}
	return nil
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
