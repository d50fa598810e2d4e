//go:build !slim

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/server/temporal"
)

// Available tells whether this binary carries the embedded server.
const Available = true

// Embedded is a Temporal server in this process. It may be killed at any moment: the next Start on the same folder goes on.
type Embedded struct {
	address  Address
	ports    ports
	server   temporal.Server
	database database
	lock     *lock
	failed   chan error
	stopping atomic.Bool
	stop     sync.Once
}

// Start runs a server on the state folder, serving its namespace on loopback to holders of the Address's certificate only, until
// Stop. It makes the folder and the database where they are missing, and returns once the server takes requests. ctx is looked at
// between the steps, each of which is bounded by itself.
//
// Errors wrap ErrBusy (a *BusyError), ErrOtherVersion or ErrDatabase where one of them is the reason.
func Start(ctx context.Context, o Options) (*Embedded, error) {
	began := time.Now()
	if err := makePrivate(o.Dir); err != nil {
		return nil, err
	}
	held, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{lock: held, database: databaseIn(o), failed: make(chan error, 1)}
	if err := e.start(ctx, o); err != nil {
		held.release()
		return nil, err
	}
	o.logger().Debug("the embedded engine is up", "address", e.address, "took", time.Since(began))
	return e, nil
}

func (e *Embedded) start(ctx context.Context, o Options) error {
	if err := e.database.prepare(ctx, o.namespace()); err != nil {
		return err
	}
	pass, err := issue()
	if err != nil {
		return fmt.Errorf("making the engine's certificates: %w", err)
	}
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("starting the embedded engine: %w", err)
		}
		err := e.launch(o, pass)
		if err == nil {
			return nil
		}
		if !isPortTaken(err) || attempt == portAttempts {
			return fmt.Errorf("starting the embedded engine in %q: %w", o.Dir, err)
		}
	}
}

// launch makes one attempt, on ports that were free a moment ago.
func (e *Embedded) launch(o Options, pass *keyring) error {
	on, err := freePorts()
	if err != nil {
		return err
	}
	server, err := e.build(o, on, pass)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		_ = server.Stop()
		return err
	}
	e.server, e.ports = server, on
	e.address = Address{HostPort: on.frontend(), Namespace: o.namespace(), TLS: pass.forClient()}
	return nil
}

// serverLog is the server's logger; what the server calls fatal ends in Failed.
func (e *Embedded) serverLog(l *slog.Logger) *serverLog {
	return &serverLog{to: l, database: e.database.path, stopping: &e.stopping, fatal: func(err error) {
		select {
		case e.failed <- err:
		default: // the first one is the cause
		}
	}}
}

// Address is how to reach this server; it carries the client's certificate and key.
func (e *Embedded) Address() Address { return e.address }

// Failed yields one error if the server cannot go on. The process should end then: nothing acknowledged is lost, and the next
// Start goes on from there.
func (e *Embedded) Failed() <-chan error { return e.failed }

// Stop ends the server, folds the write-ahead log into the database and gives the folder free. Close the clients and stop the
// workers first: the server waits a second for requests that are still open. It may be called again.
func (e *Embedded) Stop() {
	e.stop.Do(func() {
		e.stopping.Store(true)
		_ = e.server.Stop()
		e.database.tidy()
		e.lock.release()
	})
}

func makePrivate(dir string) error {
	if dir == "" {
		return fmt.Errorf("the embedded engine needs a state folder: none was given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: making the state folder %q: %w", ErrDatabase, dir, err)
	}
	// The database is created with the umask's permissions, so the folder must keep other users out.
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("%w: making the state folder %q private: %w", ErrDatabase, dir, err)
	}
	return nil
}

func (o Options) namespace() string {
	if o.Namespace == "" {
		return DefaultNamespace
	}
	return o.Namespace
}

func (o Options) logger() *slog.Logger { return orDiscard(o.Logger) }
