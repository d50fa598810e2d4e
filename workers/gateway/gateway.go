// Package gateway serves models on this computer: one process for each state
// folder, which listens at a stable address, starts and watches the instances
// of deployments, and moves the traffic from one deployment to the next.
//
// The records on disk are the truth. A client writes what it wishes (Folder)
// and nudges the process (Ensure); the process (Main) works towards the wishes,
// whoever else lives or dies:
//
//	client killed      what was wished is done
//	gateway killed     instances go on; its guard starts the next gateway, which finds them again
//	guard killed, too  its reserve does the same
//	instance killed    another answers while it is started again
//	machine restarted  the next gateway starts the instances of what was live
//
// Instances belong to their folders and not to the gateway, so they also go on
// when no gateway is ever started again. Retire finds and ends them.
//
// The way of a wish: deploy.go, trial.go, version.go, instance.go, start.go, keep.go. The
// way of a request: request.go, table.go (which version), places.go (which instance, or
// the queue), call.go, mirror.go, meter.go. What follows from records alone: routing.go,
// scaler.go. Everything that Folder offers to clients: deploy.go, split.go, figures.go,
// changes.go, keys.go, look.go, retire.go.
//
// Whoever may use the loopback interface of this computer may ask the
// endpoints; only the owner of the state folder may change them.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

const (
	tick        = 5 * time.Second        // the loop looks at the records at least this often
	tickPending = 200 * time.Millisecond // while something waits for the address
	takeOver    = 5 * time.Second        // a gateway that ends may hold its lock so long
)

// gateway is the process.
type gateway struct {
	Folder
	log    *slog.Logger
	ports  ports
	front  front
	meters meters
	again  []string // the command that is executed when this process is killed
	guards guards
	kept   net.Listener // what a guard has kept for this process, until it is used

	endpoints map[string]*endpoint // used by the loop only
	then      chan func()          // what the loop is to do when work beside it is done
	running   sync.WaitGroup       // that work
}

// Main is the gateway of the state folder dir, an absolute path. It returns nil
// when another process is the gateway already, when no endpoint needs it any
// more, and when ctx ends: then the requests under way are answered first, and
// the instances go on. What it has to say goes to log. again is a command that starts
// a process which calls Main like this one; with it a gateway that is killed is back
// at once, see guard.go. Instances on other machines are reached through hosts.
func Main(ctx context.Context, dir string, hosts Hosts, log io.Writer, again ...string) error {
	g := &gateway{
		Folder: Folder{Dir: dir, Hosts: hosts}, endpoints: map[string]*endpoint{}, then: make(chan func()),
		log: slog.New(slog.NewTextHandler(log, nil)), again: again,
	}
	if err := g.inherit(); err != nil {
		return err
	}
	if kept := g.kept; kept != nil {
		defer kept.Close() // it may not have come to use it
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := g.lock(ctx)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	pipe, err := openPipe(dir)
	if err != nil {
		return err
	}
	defer pipe.Close()
	g.log.Info("the gateway is up", "pid", os.Getpid(), "dir", dir)
	err = g.serve(ctx, pipe, lock)
	g.log.Info("the gateway ends", "error", err)
	return err
}

// lock returns nil when another process is the gateway and stays it.
func (g *gateway) lock(ctx context.Context) (*os.File, error) {
	if g.kept == nil {
		g.awaitGuard(ctx) // without its socket this process would wait for the port, and refuse clients
	}
	limit, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	for {
		lock, err := jobdir.TryLock(g.path(lockFile), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		if nudge(g.Dir) || sleep(limit, 10*time.Millisecond) != nil {
			return nil, ctx.Err()
		}
	}
}

// serve runs the loop and, when it ends, makes way for the next gateway before
// it answers the last requests.
func (g *gateway) serve(ctx context.Context, pipe, lock *os.File) error {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	nudges := make(chan struct{}, 1)
	go readNudges(pipe, nudges)
	g.front.init(g.handler())
	// Before listening, so that the first request finds its endpoint.
	if err := g.look(working); err != nil {
		g.log.Error("look at the wishes", "error", err)
	}
	g.running.Go(func() { g.listen(working) })
	g.running.Go(func() { g.measure(working) })
	resign := func() {
		pipe.Close()
		lock.Close()
	}
	err := g.loop(working, nudges, resign)
	cancel()
	answered := g.front.close()
	g.running.Wait()
	resign()
	<-answered
	g.meters.flush(g.log)
	return err
}

func readNudges(pipe io.Reader, nudges chan<- struct{}) {
	buf := make([]byte, 512)
	for {
		if _, err := pipe.Read(buf); err != nil {
			return
		}
		select {
		case nudges <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

func (g *gateway) loop(ctx context.Context, nudges <-chan struct{}, resign func()) error {
	for {
		if err := g.look(ctx); err != nil {
			g.log.Error("look at the wishes", "error", err)
		}
		if over, err := g.leave(ctx, resign); over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-nudges:
		case then := <-g.then:
			then()
		case <-time.After(g.pause()):
		}
	}
}

func (g *gateway) pause() time.Duration {
	if !g.listening() {
		return tickPending
	}
	return tick
}

// look converges every endpoint.
func (g *gateway) look(ctx context.Context) error {
	names, err := g.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if g.endpoints[name] == nil {
			g.endpoints[name] = newEndpoint(name)
		}
	}
	var errs []error
	for name, e := range g.endpoints {
		if err := g.converge(ctx, e); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("endpoint %q: %w", name, err))
		}
		if e.idle() && !exists(g.endpoint(name), "") {
			delete(g.endpoints, name)
		}
	}
	g.front.route(g.endpoints)
	return errors.Join(errs...)
}

// leave ends the gateway when nothing needs it. Wishes are written under the
// same lock, so one that comes later finds no reader of the pipe any more, and
// starts another gateway.
func (g *gateway) leave(ctx context.Context, resign func()) (over bool, err error) {
	for _, e := range g.endpoints {
		if !e.idle() {
			return false, nil
		}
	}
	err = g.locked(ctx, wishesLock, func() error {
		needed, err := g.work()
		if over = !needed && err == nil; over {
			resign()
		}
		return err
	})
	if ctx.Err() != nil {
		return true, nil
	}
	return over, err
}

// beside does work beside the loop, which then does what the work returns and
// looks at everything again.
func (g *gateway) beside(ctx context.Context, do func() (then func())) {
	g.running.Go(func() {
		then := do()
		select {
		case g.then <- then:
		case <-ctx.Done():
		}
	})
}
