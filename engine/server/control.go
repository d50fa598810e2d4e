package server

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// control is the small API through which clients find out that the server is
// there, keep it from stopping, and ask it to stop. It listens on loopback only
// and wants the token of the info file with every request.
type control struct {
	server  *http.Server
	holds   atomic.Int64
	stopped chan struct{}
	stop    func()
}

func startControl(info *Info) (*control, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	info.Control, info.Token = "http://"+l.Addr().String(), rand.Text()
	c := &control{stopped: make(chan struct{})}
	c.stop = sync.OnceFunc(func() { close(c.stopped) })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.status(*info))
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted); c.stop() })
	mux.HandleFunc("GET /hold", c.hold)
	c.server = &http.Server{Handler: guard(l.Addr().String(), info.Token, mux), ReadHeaderTimeout: 5 * time.Second}
	go c.server.Serve(l) //nolint:errcheck // ends with close
	return c, nil
}

// guard wraps every route: the token is compared in constant time, and a page of
// another site that reached loopback by a name of its own is turned away.
func guard(host, token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "unknown host", http.StatusMisdirectedRequest)
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "the token of the state folder is wanted", http.StatusUnauthorized)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		next.ServeHTTP(w, r)
	}))
}

func (c *control) status(info Info) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"pid": info.PID, "build": info.Build})
	}
}

// hold lasts as long as the client stays connected.
func (c *control) hold(w http.ResponseWriter, r *http.Request) {
	c.holds.Add(1)
	defer c.holds.Add(-1)
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	select {
	case <-r.Context().Done():
	case <-c.stopped:
	}
}

func (c *control) held() bool { return c.holds.Load() > 0 }

func (c *control) close() { _ = c.server.Close() }
