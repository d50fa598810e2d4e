package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// PortVariable names the environment variable that says where a gateway is to
// listen, whatever was chosen before.
const PortVariable = "AMLFLOW_GATEWAY_PORT"

const (
	firstChoice = 8467
	bindAgain   = 100 * time.Millisecond
	maxHeader   = 64 << 10
)

// front is the server that clients talk to.
type front struct {
	server *http.Server
	routes atomic.Pointer[map[string]*endpoint]
	up     atomic.Bool
}

func (g *gateway) listening() bool { return g.front.up.Load() }

func (f *front) init(h http.Handler) {
	f.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
	}
}

// route publishes the endpoints to the requests.
func (f *front) route(endpoints map[string]*endpoint) {
	routes := make(map[string]*endpoint, len(endpoints))
	for name, e := range endpoints {
		routes[name] = e
	}
	f.routes.Store(&routes)
}

// close frees the address at once; the result is closed when the requests under
// way have been answered, or have had their time.
func (f *front) close() <-chan struct{} {
	answered := make(chan struct{})
	shut := make(chan struct{})
	f.server.RegisterOnShutdown(func() { close(shut) })
	go func() {
		defer close(answered)
		limit, cancel := context.WithTimeout(context.Background(), drainFor)
		defer cancel()
		if f.server.Shutdown(limit) != nil {
			f.server.Close()
		}
	}()
	<-shut // by then its listener is closed
	return answered
}

// listen takes the address of the folder as soon as it is free, and serves.
func (g *gateway) listen(ctx context.Context) {
	g.say("")
	for ctx.Err() == nil {
		l, err := g.bind()
		if err == nil {
			g.say("")
			g.log.Info("the gateway listens", "address", l.Addr())
			g.front.up.Store(true)
			g.running.Go(func() { g.serveOn(l) })
			g.running.Go(func() { g.guardOver(ctx, l) })
			return
		}
		if err.Error() != g.now().Reason {
			g.log.Error("listen", "error", err)
			g.say(err.Error())
		}
		_ = sleep(ctx, bindAgain)
	}
}

func (g *gateway) serveOn(l net.Listener) {
	if err := g.front.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		g.log.Error("serve", "error", err)
	}
}

func (g *gateway) say(reason string) {
	guard, reserve := g.guards.processes()
	if err := writeQuick(g.Dir, nowFile, now{PID: os.Getpid(), Guard: guard, Reserve: reserve, Reason: reason}); err != nil {
		g.log.Error("record the gateway", "error", err)
	}
}

// bind listens at the port that the variable says or that was chosen before.
// While nobody can have been told a URL, any other port does as well.
func (g *gateway) bind() (net.Listener, error) {
	said := os.Getenv(PortVariable)
	port, err := strconv.Atoi(said)
	if said != "" && (err != nil || port < 1 || port > 65535) {
		return nil, fmt.Errorf("%s is %q, which is not a port: use a number from 1 to 65535", PortVariable, said)
	}
	if l := g.kept; l != nil {
		if at := l.Addr().(*net.TCPAddr).Port; at == port || said == "" && at == g.port() {
			g.kept = nil
			return l, nil
		}
		l.Close() // it is to listen elsewhere
		g.kept = nil
	}
	if kept := g.port(); said == "" && kept != 0 {
		l, err := bindTo(kept)
		if err == nil || g.relied() {
			return l, err
		}
	}
	if said != "" {
		return g.keepPort(bindTo(port))
	}
	if l, err := bindTo(firstChoice); err == nil {
		return g.keepPort(l, nil)
	}
	return g.keepPort(bindTo(0))
}

func bindTo(port int) (net.Listener, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("the gateway of the endpoints cannot listen on port %d of 127.0.0.1: %w; end the program that uses it, or set %s to another port and stop the gateway", port, err, PortVariable)
	}
	return l, nil
}

func (g *gateway) keepPort(l net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := writeDurable(g.Dir, portFile, l.Addr().(*net.TCPAddr).Port); err != nil {
		l.Close()
		return nil, fmt.Errorf("keep the port %s: %w", port, err)
	}
	return l, nil
}

// relied reports whether any endpoint is live, so that its URL is known.
func (g *gateway) relied() bool {
	names, err := g.names()
	for _, name := range names {
		h, r, e := g.records(name)
		if err != nil || e != nil || len(h.roles(r).shares) > 0 {
			return true
		}
	}
	return err != nil
}
