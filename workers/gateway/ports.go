package gateway

import (
	"fmt"
	"net"
	"sync"
)

// ports hands out local ports for instances. A free port is only ours once the
// instance listens, so none is given twice in the meantime.
type ports struct {
	mu    sync.Mutex
	taken map[int]bool
}

func (p *ports) take(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken = map[int]bool{}
	}
	p.taken[port] = true
}

func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, port)
}

func (p *ports) isTaken(port int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[port]
}

func (p *ports) free() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		if !p.isTaken(port) {
			p.take(port)
			return port, nil
		}
	}
	return 0, fmt.Errorf("all of 100 ports that the system offered were promised to other instances")
}
