package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// here makes instances that are processes of this computer: one in the folder of each
// start, see package jobdir.
type here struct{ ports *ports }

func (h here) seat(context.Context, life) (Seat, error) {
	port, err := h.ports.free()
	if err != nil {
		return Seat{}, fmt.Errorf("find a free port: %w", err)
	}
	return Seat{Port: port, Listen: loopback}, nil
}

func (h here) begin(ctx context.Context, l life) error {
	home, dir := filepath.Dir(l.dir()), l.dir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, "tmp"), 0o700); err != nil {
		return err
	}
	// All starts append to one log, so that readers need one offset only.
	if err := os.Symlink(filepath.Join("..", logFile), jobdir.Log(dir)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	p, err := l.of.process(l.number, home, l.seat.Port)
	if err != nil {
		return err
	}
	if err := jobdir.Start(ctx, dir, p); err != nil {
		return fmt.Errorf("%w: %w", errUnstarted, err)
	}
	return nil
}

func (h here) look(_ context.Context, l life) (jobdir.View, error) { return jobdir.Look(l.dir()) }

// read has nothing to add: the process writes to the log of the instance.
func (h here) read(_ context.Context, _ life, offset int64, _ io.Writer) (int64, error) {
	return offset, nil
}

func (h here) end(ctx context.Context, l life) error {
	if err := jobdir.Stop(l.dir(), "stopped", stopGrace); err != nil {
		return ignoreMissing(err)
	}
	for {
		v, err := jobdir.Look(l.dir())
		if err != nil || v.Phase != jobdir.Running {
			return err
		}
		if err := sleep(ctx, probeFirst); err != nil {
			return err
		}
	}
}

func (h here) clean(_ context.Context, l life) error {
	h.ports.release(l.seat.Port)
	return jobdir.Remove(l.dir())
}

func (h here) dial(ctx context.Context, l life) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialWithin}).DialContext(ctx, "tcp", l.seat.address())
}

func (h here) pace() time.Duration { return lookEvery }
