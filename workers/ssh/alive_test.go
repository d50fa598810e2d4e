package ssh

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// A host that says nothing any more is noticed by whoever waits for it, though nobody has
// closed the connection.
func TestASilentHostIsNoticed(t *testing.T) {
	r := startServer(t)
	p := startProxy(t, r)
	s, err := readSettings(r.target(t, t.TempDir(), map[string]any{"host": p.address()}))
	if err != nil {
		t.Fatal(err)
	}
	way, err := s.route(s.Host)
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(way)
	l.every, l.within = 20*time.Millisecond, time.Second
	var out bytes.Buffer
	if err := l.Run(t.Context(), "sleep 2; echo here", nil, &out); err != nil || out.String() != "here\n" {
		t.Fatal("a host that is there, and has nothing to say for longer than that:", err, out.String())
	}
	begun, write := io.Pipe()
	go func() {
		_, _ = begun.Read(make([]byte, 1))
		p.hush()
	}()
	if err := l.Run(t.Context(), "echo; sleep 600", nil, write); !errors.Is(err, target.ErrUnreachable) {
		t.Fatal(err)
	}
	if l.current() != nil {
		t.Error("the connection is used further")
	}
}

// Whatever comes shows that the host is there.
func TestWhatIsHeard(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	h := &hearing{Conn: here}
	asked := time.Now().Add(-time.Hour)
	if q := h.quiet(asked); q < time.Hour {
		t.Error("nothing has come for", q)
	}
	go func() { _, _ = there.Write([]byte("x")) }()
	if _, err := h.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if q := h.quiet(asked); q > time.Minute {
		t.Error("something has come, and it is quiet for", q)
	}
}
