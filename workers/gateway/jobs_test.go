package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// fleet is a driver of two machines, in this process, that can be put out of reach. Its
// jobs are servers which answer with the machine and the job.
type fleet struct {
	mu      sync.Mutex
	away    map[string]bool
	jobs    map[string]*fleetJob
	submits map[string]int
}

type fleetJob struct {
	server *httptest.Server
	state  target.State
	log    string
}

func newFleet() *fleet {
	return &fleet{away: map[string]bool{}, jobs: map[string]*fleetJob{}, submits: map[string]int{}}
}

func (f *fleet) set(machine string, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away[machine] = away
}

// on returns the machine of a target, locked, or why it cannot be reached.
func (f *fleet) on(t target.Target) (string, func(), error) {
	var machine string
	if err := json.Unmarshal(t.Settings, &machine); err != nil {
		return "", nil, err
	}
	f.mu.Lock()
	if f.away[machine] {
		f.mu.Unlock()
		return "", nil, fmt.Errorf("machine %s is away: %w", machine, target.ErrUnreachable)
	}
	return machine, f.mu.Unlock, nil
}

func (f *fleet) Seat(_ context.Context, t target.Target, _ string, _ int) (Seat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, machine := range []string{"a", "b"} {
		if !f.away[machine] {
			t.Settings = json.RawMessage(`"` + machine + `"`)
			return Seat{Target: t, Host: machine, Port: 1, Listen: loopback}, nil
		}
	}
	return Seat{}, fmt.Errorf("all machines are away: %w", target.ErrUnreachable)
}

func (f *fleet) Submit(_ context.Context, t target.Target, job target.Job, _ target.Blobs) error {
	machine, leave, err := f.on(t)
	if err != nil {
		return err
	}
	defer leave()
	if f.jobs[job.ID] == nil {
		f.submits[job.ID]++
		f.jobs[job.ID] = &fleetJob{state: target.Running, log: "begun on " + machine + "\n", server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `"%s %s"`, machine, job.ID)
		}))}
	}
	return nil
}

func (f *fleet) Status(_ context.Context, t target.Target, id string) (target.Status, error) {
	_, leave, err := f.on(t)
	if err != nil {
		return target.Status{}, err
	}
	defer leave()
	if j := f.jobs[id]; j != nil {
		return target.Status{State: j.state}, nil
	}
	return target.Status{State: target.Lost, Reason: "nobody knows it"}, nil
}

func (f *fleet) Read(_ context.Context, t target.Target, id string, _ target.Stream, offset int64, w io.Writer) (int64, error) {
	_, leave, err := f.on(t)
	if err != nil {
		return offset, err
	}
	defer leave()
	j := f.jobs[id]
	if j == nil || offset >= int64(len(j.log)) {
		return min(offset, 0), nil
	}
	n, err := io.WriteString(w, j.log[offset:])
	return offset + int64(n), err
}

func (f *fleet) Cancel(_ context.Context, t target.Target, id string, _ target.Cause) error {
	_, leave, err := f.on(t)
	if err != nil {
		return err
	}
	defer leave()
	if j := f.jobs[id]; j != nil && j.state == target.Running {
		j.state = target.Cancelled
		j.server.CloseClientConnections()
		j.server.Listener.Close()
	}
	return nil
}

func (f *fleet) Clean(_ context.Context, t target.Target, id string) error {
	_, leave, err := f.on(t)
	if err != nil {
		return err
	}
	defer leave()
	delete(f.jobs, id)
	return nil
}

func (f *fleet) Dial(ctx context.Context, s Seat, id string) (net.Conn, error) {
	_, leave, err := f.on(s.Target)
	if err != nil {
		return nil, err
	}
	defer leave()
	if j := f.jobs[id]; j != nil && j.state == target.Running {
		return (&net.Dialer{}).DialContext(ctx, "tcp", j.server.Listener.Addr().String())
	}
	return nil, syscall.ECONNREFUSED
}

func (f *fleet) Vet(_ target.Target, job target.Job) error  { return job.Check() }
func (f *fleet) Kind() target.Kind                          { return target.Kind{Name: "fleet"} }
func (f *fleet) Can(target.Target) target.Can               { return target.Can{Nodes: 1} }
func (f *fleet) Check(context.Context, target.Target) error { return nil }
func (f *fleet) Collect(context.Context, target.Target, string, target.Blobs) (target.Results, error) {
	return target.Results{}, errors.ErrUnsupported
}

// running lists the jobs that run.
func (f *fleet) running() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, j := range f.jobs {
		if j.state == target.Running {
			ids = append(ids, id)
		}
	}
	return ids
}

// inFleet is a place whose gateway, in this process, reaches a fleet.
func inFleet(t *testing.T) (*place, *fleet) {
	p, f := newSerialPlace(t), newFleet()
	pause, elsewhere, tidy := awayPause, elsewhereAfter, tidyEvery
	awayPause, elsewhereAfter, tidyEvery = 10*time.Millisecond, 50*time.Millisecond, 20*time.Millisecond
	t.Setenv(PortVariable, fmt.Sprint(ownPort(t)))
	p.Hosts = Hosts{"fleet": f}
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	p.Start = func(dir string) error {
		log, err := os.OpenFile(filepath.Join(dir, "test.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		ended.Go(func() {
			defer log.Close()
			if err := Main(ctx, dir, p.Hosts, log); err != nil {
				t.Error(err)
			}
		})
		return nil
	}
	t.Cleanup(func() {
		stop()
		ended.Wait()
		awayPause, elsewhereAfter, tidyEvery = pause, elsewhere, tidy
	})
	return p, f
}

var fleetTarget = target.Target{Name: "web", Kind: "fleet", Settings: []byte(`"any"`)}

func (p *place) fleetLive(id string) string {
	p.Helper()
	d := target.Deployment{ID: id, Endpoint: "m", Script: "exec server", Health: "/", Path: "/", Ready: 10 * time.Second}
	if err := p.Deploy(p.Context(), fleetTarget, d, p.blobs); err != nil {
		p.Fatal(err)
	}
	if r := p.settle(id); r.State != target.Succeeded {
		p.Fatalf("rollout: %+v", r)
	}
	return p.deployed(id).URL
}

func (p *place) says(url, want string) {
	p.Helper()
	var status int
	var text string
	p.awaitOr("the answer "+want, func() bool {
		status, text = p.send(http.MethodPost, url, "1", nil)
		return strings.Contains(text, want)
	}, func() string { return fmt.Sprintf("got %d %s", status, text) })
}

// A machine that stays away loses its instance to another, and what is left there is
// ended once it is back. Nothing is begun twice, and no log is lost.
func TestAnInstanceMovesFromAMachineThatStaysAway(t *testing.T) {
	p, f := inFleet(t)
	url := p.fleetLive("d1")
	p.says(url, "a d1.i0.1")
	f.set("b", true)
	f.set("a", true)
	p.says(url, "machine a is away")
	if ids := f.running(); len(ids) != 1 {
		t.Errorf("an instance out of reach was stopped: %v", ids)
	}
	f.set("b", false)
	p.says(url, "b d1.i0.")
	f.set("a", false)
	p.await("the end of what is left", func() bool { return len(f.running()) == 1 })
	p.says(url, "b d1.i0.")
	for id, n := range f.submits {
		if n != 1 {
			t.Errorf("job %s was begun %d times", id, n)
		}
	}
	if text := p.logOf(0); !strings.HasSuffix(text, "begun on b\n") {
		t.Errorf("log: %q", text)
	}
	if err := p.Retire(t.Context(), "web", "m"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.jobs) != 0 {
		t.Errorf("jobs are left: %v", f.jobs)
	}
}

// What cannot be reached when it is removed is removed when it can.
func TestWhatIsAwayIsRemovedLater(t *testing.T) {
	p, f := inFleet(t)
	p.fleetLive("d1")
	f.set("b", true) // so that it does not move there
	f.set("a", true)
	if err := (Folder{Dir: p.Dir}).Retire(t.Context(), "web", "m"); err != nil { // which waits for nothing
		t.Fatal(err)
	}
	p.await("the reason", func() bool {
		var l left
		return readJSON(filepath.Join(p.endpoint("m"), "deployments", "d1"), leftFile, &l) == nil && strings.Contains(l.Reason, "machine a is away")
	})
	if len(f.running()) != 1 {
		t.Error("what nobody can reach was ended")
	}
	f.set("a", false)
	p.await("the end of it", func() bool { return len(f.running()) == 0 && !exists(p.endpoint("m"), "") })
}

// A target may become one of another kind: the endpoint keeps its URL, and its versions.
func TestAnEndpointMovesToAnotherKind(t *testing.T) {
	p, f := inFleet(t)
	url := p.fleetLive("d1")
	if err := p.Deploy(t.Context(), target.Target{Name: "web", Kind: "local"}, p.wish("d2", "m", answering("2")), p.blobs); err != nil {
		t.Fatal(err)
	}
	if r := p.settle("d2"); r.State != target.Succeeded || r.URL != url {
		t.Fatalf("rollout: %+v", r)
	}
	p.says(url, `"v": 2`)
	p.await("the end of the version before", func() bool { return len(f.running()) == 0 })
	if e := p.only(); e.Live != "d2" {
		t.Errorf("endpoint: %+v", e)
	}
	if list, err := p.Endpoints(t.Context(), fleetTarget); err != nil || len(list) != 0 {
		t.Errorf("the kind before still lists %+v, %v", list, err)
	}
	var log strings.Builder
	if _, err := p.ReadEndpoint(t.Context(), "web", "m", "d1", 0, 0, &log); err != nil || log.String() != "begun on a\n" {
		t.Errorf("the log of the version before: %q, %v", log.String(), err)
	}
}
