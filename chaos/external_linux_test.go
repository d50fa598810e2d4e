package chaos

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// engine is a Temporal elsewhere: the embedded one of another state folder, behind
// passages that stay where they are when it comes back with another port and other
// certificates.
type engine struct {
	*user
	namespace string
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{user: newUser(t)}
	e.restart()
	return e
}

// restart starts the engine, wherever it is then.
func (e *engine) restart() {
	e.Helper()
	e.does("server", "start")
	at, err := e.address()
	e.must(err)
	e.namespace = at.Namespace
}

func (e *engine) pid() int { return e.server("server") }

// address is where an engine is, as its own server tells its clients.
type address struct {
	HostPort  string `json:"host_port"`
	Namespace string
	TLS       struct {
		CA, Cert, Key string
		ServerName    string `json:"server_name"`
	}
}

func (e *engine) address() (a address, err error) {
	text, err := os.ReadFile(filepath.Join(e.home, "server", "server.json"))
	if err != nil {
		return a, err
	}
	info := struct{ Address *address }{&a}
	err = json.Unmarshal(text, &info)
	return a, err
}

// dial connects to the engine where it is now.
func (e *engine) dial() (net.Conn, error) {
	at, err := e.address()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(at.TLS.Cert), []byte(at.TLS.Key))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(at.TLS.CA))
	return tls.Dial("tcp", at.HostPort, &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: at.TLS.ServerName, NextProtos: []string{"h2"}})
}

// uses makes a user work with the engine through a passage that listens at address.
func (e *engine) uses(u *user, address string) *passage {
	e.Helper()
	l, err := net.Listen("tcp", address)
	e.must(err)
	p := &passage{engine: e, at: l.Addr().String()}
	p.cond = sync.NewCond(&p.mu)
	e.Cleanup(func() { l.Close() })
	go p.serve(l)
	u.env = append(u.env, "AMLFLOW_ADDRESS="+p.at, "AMLFLOW_NAMESPACE="+e.namespace)
	return p
}

// passage leads to an engine. Each way can be blocked: what is sent then arrives
// when it is free again, as on a network that loses packets.
type passage struct {
	engine *engine
	at     string

	mu       sync.Mutex
	cond     *sync.Cond
	in, back bool // blocked: the way to the engine, and the way back
}

func (p *passage) block(in, back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in, p.back = in, back
	p.cond.Broadcast()
}

func (p *passage) serve(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			far, err := p.engine.dial()
			if err != nil {
				return
			}
			defer far.Close()
			go func() { p.copy(near, far, &p.back); near.Close() }()
			p.copy(far, near, &p.in)
		}()
	}
}

// copy hands on what it reads, as long as the way is not blocked.
func (p *passage) copy(to io.Writer, from io.Reader, blocked *bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for *blocked {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
