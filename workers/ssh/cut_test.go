package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"golang.org/x/crypto/ssh/knownhosts"
)

// proxy stands between a driver and a server, and can be cut.
type proxy struct {
	to       string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	budget   int64 // bytes that may yet go to the server
	down     bool  // who connects is cut at once
	silent   bool  // nothing goes through, and nobody is told
}

const unbounded = 1 << 60

func startProxy(t *testing.T, r *rig) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: r.address(), listener: l, budget: unbounded}
	r.write(t, "known_hosts", r.read(t, "known_hosts")+knownhosts.Line([]string{knownhosts.Normalize(p.address())}, r.key)+"\n")
	go p.serve()
	t.Cleanup(func() { l.Close(); p.cut() })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, s)
		down := p.down
		p.mu.Unlock()
		if down {
			p.sever()
			continue
		}
		go io.Copy(husher{c, p}, s)
		go func() {
			io.Copy(spender{s, p}, c)
			c.Close()
			s.Close()
		}()
	}
}

// spender passes on bytes as long as the budget lasts, and then cuts everything.
type spender struct {
	net.Conn
	p *proxy
}

func (s spender) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	if s.p.silent {
		s.p.mu.Unlock()
		return len(b), nil
	}
	may := min(int64(len(b)), s.p.budget)
	s.p.budget -= may
	s.p.mu.Unlock()
	n, err := s.Conn.Write(b[:may])
	if n < len(b) && err == nil {
		s.p.cut()
		err = io.ErrShortWrite
	}
	return n, err
}

// husher passes on bytes unless the proxy is silent.
type husher struct {
	net.Conn
	p *proxy
}

func (h husher) Write(b []byte) (int, error) {
	h.p.mu.Lock()
	silent := h.p.silent
	h.p.mu.Unlock()
	if silent {
		return len(b), nil
	}
	return h.Conn.Write(b)
}

// hush has nothing go through any more, as a cable that was pulled.
func (p *proxy) hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// cut ends all connections, and every one that is tried from now on.
func (p *proxy) cut() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.sever()
}

func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// heal lets connections through again, up to a number of bytes.
func (p *proxy) heal(budget int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.budget = false, budget
}

func waitEnd(t *testing.T, d target.Driver, at target.Target, id string) target.Status {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		st, err := d.Status(t.Context(), at, id)
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Ended() {
			return st
		}
	}
	t.Fatalf("job %s did not end", id)
	return target.Status{}
}

// Wherever a submission is cut off, the next one makes it good, and the job starts once.
func TestASubmissionThatIsCutOff(t *testing.T) {
	r, dir, shared := startServer(t), t.TempDir(), t.TempDir()
	p := startProxy(t, r)
	near := r.target(t, dir, nil)
	far := r.target(t, dir, map[string]any{"host": p.address()})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	in := &targettest.Blobs{}
	var cuts int
	for i := range 12 {
		starts := fmt.Sprintf("%s/%d", shared, i)
		j := target.Job{ID: fmt.Sprintf("cut-%d", i), Script: "echo x >>" + starts + "; cat $AMLFLOW_INPUT_DATA", Grace: time.Second,
			Inputs:  []target.Artifact{{Name: "data", Type: target.File, Ref: in.Add(t, strings.Repeat("words ", 2000)+fmt.Sprint(i))}},
			Secrets: map[string]string{"TOKEN": strings.Repeat("s", 3000)}}
		p.heal(random.Int64N(28_000))
		err := driver(t).Submit(t.Context(), far, j, in)
		if err != nil {
			cuts++
			if !errors.Is(err, target.ErrUnreachable) || errors.Is(err, target.ErrPermanent) {
				t.Errorf("cut off, it said: %v", err)
			}
		}
		p.heal(unbounded)
		d := driver(t)
		if err := d.Submit(t.Context(), far, j, in); err != nil {
			t.Fatalf("after it was cut off: %v", err)
		}
		if st := waitEnd(t, d, near, j.ID); st.State != target.Succeeded {
			t.Errorf("got %+v", st)
		}
		if text, err := os.ReadFile(starts); string(text) != "x\n" {
			t.Errorf("it started %q times, %v", text, err)
		}
	}
	if cuts == 0 {
		t.Error("nothing was ever cut off")
	}
}

// While nobody can reach the host its jobs go on, their timeouts too, and calls say that
// it is the way there that is missing.
func TestAJobOutlivesTheConnection(t *testing.T) {
	r, dir := startServer(t), t.TempDir()
	p, d := startProxy(t, r), driver(t)
	far := r.target(t, dir, map[string]any{"host": p.address()})
	proceed := t.TempDir() + "/proceed"
	long := target.Job{ID: "long", Script: "echo before; while [ ! -e " + proceed + " ]; do sleep 0.05; done; echo after; exit 4", Grace: time.Second}
	late := target.Job{ID: "late", Script: "sleep 300", Timeout: time.Second, Grace: time.Second}
	for _, j := range []target.Job{long, late} {
		t.Cleanup(func() { _ = d.Cancel(context.Background(), r.target(t, dir, nil), j.ID, target.CauseCancel) })
		if err := d.Submit(t.Context(), far, j, &targettest.Blobs{}); err != nil {
			t.Fatal(err)
		}
	}
	p.cut()
	_, err := d.Collect(t.Context(), far, "long", &targettest.Blobs{})
	if !errors.Is(err, target.ErrUnreachable) || errors.Is(err, target.ErrPermanent) {
		t.Errorf("with the connection cut: %v", err)
	}
	if err := os.WriteFile(proceed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Both end by themselves, which is seen on the disk of the host.
	for _, id := range []string{"long", "late"} {
		appears(t, dir+"/jobs/"+id+"/end")
	}
	p.heal(unbounded)
	if st := waitEnd(t, d, far, "long"); st.Exit != 4 {
		t.Errorf("got %+v", st)
	}
	if st := waitEnd(t, d, far, "late"); st.Cause != target.CauseTimeout {
		t.Errorf("got %+v", st)
	}
	out := &targettest.Blobs{}
	if res, err := d.Collect(t.Context(), far, "long", out); err != nil || out.Text(res.Log) != "before\nafter\n" {
		t.Errorf("got %q, %v", out.Text(res.Log), err)
	}
}

// appears waits until there is something at path.
func appears(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s never came", path)
		}
	}
}

// A server that allows fewer sessions than we like is asked for no more.
func TestFewSessions(t *testing.T) {
	r := startServer(t, "MaxSessions 3")
	d, at := driver(t), r.target(t, t.TempDir(), nil)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			id := fmt.Sprintf("few-%d", i)
			if err := d.Submit(t.Context(), at, target.Job{ID: id, Script: "true"}, &targettest.Blobs{}); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			if st := waitEnd(t, d, at, id); st.State != target.Succeeded {
				t.Errorf("%s: got %+v", id, st)
			}
		})
	}
	all.Wait()
}
