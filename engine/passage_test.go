package engine_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// passage hands connections on to another address, and can be closed for a
// while: to those behind it, the engine has gone.
type passage struct {
	address, to string

	mu       sync.Mutex
	listener net.Listener
	ends     []net.Conn
}

func newPassage(t *testing.T, to string) *passage {
	t.Helper()
	p := &passage{address: "127.0.0.1:0", to: to}
	p.open(t)
	t.Cleanup(p.close)
	return p
}

func (p *passage) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.address = l, l.Addr().String()
	go p.serve(l)
}

func (p *passage) serve(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		p.ends = append(p.ends, near, far)
		p.mu.Unlock()
		go pass(near, far)
		go pass(far, near)
	}
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
}

// close refuses new connections and breaks those there are.
func (p *passage) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, c := range p.ends {
		c.Close()
	}
	p.ends = nil
}
