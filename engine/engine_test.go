package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/worker"
)

// The tests' server processes are this binary, started with the name of their
// state folder and, for an external engine, the file with its address.
const (
	serveHome    = "AMLFLOW_TEST_SERVE_HOME"
	serveAddress = "AMLFLOW_TEST_SERVE_ADDRESS"
	serveIdle    = "AMLFLOW_TEST_SERVE_IDLE"
)

func TestMain(m *testing.M) {
	if home := os.Getenv(serveHome); home != "" {
		serve(home)
		return
	}
	os.Exit(m.Run())
}

func serve(home string) {
	seat := server.Seat{Home: home}
	if file := os.Getenv(serveAddress); file != "" {
		a, err := server.ReadAddress(file)
		if err != nil {
			panic(err)
		}
		seat.External = a
	}
	idle, err := time.ParseDuration(os.Getenv(serveIdle))
	if err != nil {
		panic(err)
	}
	activities := engine.Activities(drivers(home), home)
	err = server.Serve(context.Background(), server.Options{
		Seat: seat, Build: "test", Idle: idle, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Workflows:  func(r worker.Registry) { engine.RegisterWorkflows(r) },
		Activities: func(r worker.Registry) { activities(r) },
	})
	if err != nil && !errors.Is(err, server.ErrTaken) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func drivers(home string) map[string]target.Driver {
	return map[string]target.Driver{"local": local.Driver{Dir: filepath.Join(home, "local")}}
}

// options are those of an engine in a state folder of its own, whose server is
// ended with the test.
func options(t testing.TB, external *cluster.Address, idle time.Duration) engine.Options {
	t.Helper()
	home := t.TempDir()
	o := engine.Options{Home: home, External: external, Build: "test", Drivers: drivers(home), Notice: func(s string) { t.Log(s) }}
	o.Start = func(s server.Seat) error {
		log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer log.Close()
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), serveHome+"="+home, serveIdle+"="+idle.String())
		if s.External != nil {
			c.Env = append(c.Env, serveAddress+"="+s.AddressFile())
		}
		c.Stderr = log
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			return err
		}
		go c.Wait() // only so that no zombie stays
		return nil
	}
	t.Cleanup(func() {
		seat := server.Seat{Home: home, External: external}
		if err := server.Stop(context.Background(), seat); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(seat.LogFile())
			t.Logf("the server's log:\n%s", log)
		}
	})
	return o
}

func open(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, err := engine.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// scripts is a plan of stages in a chain, each a shell script on this machine.
func scripts(ss ...string) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Pipeline: "test", Digest: "sha256:test", Params: map[string]any{}}
	for i, s := range ss {
		st := plan.Stage{Name: fmt.Sprintf("s%d", i+1), Targets: []target.Target{{Name: "local", Kind: "local"}}, Script: s, Grace: plan.Duration(time.Second), Retry: plan.Retry{Attempts: 1}}
		if i > 0 {
			st.Needs = []plan.Need{{Stage: fmt.Sprintf("s%d", i)}}
		}
		p.Stages = append(p.Stages, st)
	}
	return p
}

func start(t testing.TB, e *engine.Engine, o engine.Options, p *plan.Plan) string {
	t.Helper()
	id, err := e.Start(t.Context(), engine.Request{Plan: p, Store: o.StoreDir(), Host: map[string]string{"PATH": os.Getenv("PATH")}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wait(t testing.TB, e *engine.Engine, id string) *flow.Progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := e.Watch(ctx, id, func(*flow.Progress) {})
	if err != nil {
		t.Fatalf("watch %s: %v", id, err)
	}
	return p
}

// eventually waits for something that happens soon.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestARunFromStartToEnd(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	id := start(t, e, o, scripts("echo one", "echo two; exit 3", "echo never"))
	p := wait(t, e, id)
	if p.Status != target.Failed || p.Stages[0].Status != target.Succeeded || p.Stages[1].Status != target.Failed || p.Stages[2].Status != flow.Skipped {
		t.Errorf("got %+v", p)
	}
	if s := p.Stages[1]; s.Exit == nil || *s.Exit != 3 || strings.Join(s.Tail, "|") != "two" {
		t.Errorf("the failed stage: %+v", s)
	}
	var log bytes.Buffer
	if n, err := e.Logs(t.Context(), &p.Stages[0], o.StoreDir(), 0, 0, &log); err != nil || n != 4 || log.String() != "one\n" {
		t.Errorf("the log is %q up to %d, %v", log.String(), n, err)
	}
	for _, ref := range []string{"@last", id, id[:3]} {
		if got, err := e.Find(t.Context(), ref); err != nil || got != id {
			t.Errorf("Find(%q) = %q, %v", ref, got, err)
		}
	}
	if _, err := e.Find(t.Context(), "nonesuch"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("Find of no run: %v", err)
	}
}

// The server dies in the middle of a stage. The next call brings it back, the
// stage was started once, and the run succeeds.
func TestAKilledServerLosesNothing(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	dir := t.TempDir()
	starts, gate := filepath.Join(dir, "starts"), filepath.Join(dir, "gate")
	id := start(t, e, o, scripts(fmt.Sprintf("echo x >>%s; until [ -e %s ]; do sleep 0.05; done", starts, gate), "true"))
	for range 3 {
		eventually(t, "the stage starts", func() bool { return exists(starts) })
		pid := e.Info().PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a new server answers", func() bool {
			_, err := e.Progress(t.Context(), id)
			return err == nil && e.Info().PID != pid
		})
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, e, id); p.Status != target.Succeeded || p.Stages[0].Attempts != 1 {
		t.Errorf("got %+v", p)
	}
	if b, _ := os.ReadFile(starts); string(b) != "x\n" {
		t.Errorf("the stage was started %d times", len(b)/2)
	}
}

// A server that dies while commands connect to it costs them time, and nothing
// else.
func TestAServerKilledWhileCommandsConnect(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	o := options(t, nil, time.Minute)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 8 {
				e, err := engine.Open(t.Context(), o)
				if err != nil {
					t.Error(err)
					return
				}
				e.Close()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	r := rand.New(rand.NewSource(seed))
	for kills := 0; kills < 3; time.Sleep(time.Duration(r.Intn(20)) * time.Millisecond) {
		select {
		case <-done:
			return
		default:
		}
		if i, ok := server.Find(t.Context(), server.Seat{Home: o.Home}); ok && syscall.Kill(i.PID, syscall.SIGKILL) == nil {
			kills++
		}
	}
	<-done
}

func TestCancelLeavesNothingAlive(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	file := filepath.Join(t.TempDir(), "pid")
	p := scripts(fmt.Sprintf("sleep 1000 & echo $! >%s.tmp; mv %s.tmp %s; wait", file, file, file), "true")
	id := start(t, e, o, p)
	eventually(t, "the stage runs", func() bool { return exists(file) })
	for range 2 {
		if err := e.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	got := wait(t, e, id)
	if got.Status != target.Cancelled || got.Stages[0].Status != target.Cancelled || got.Stages[1].Status != target.Cancelled {
		t.Errorf("got %+v", got)
	}
	b, _ := os.ReadFile(file)
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stage's own child has gone", func() bool { return syscall.Kill(pid, 0) != nil })
	if err := e.Cancel(t.Context(), id); err != nil {
		t.Errorf("cancelling an ended run: %v", err)
	}
}

// An engine of another process, reached by its address, means the same.
func TestAnExternalEngine(t *testing.T) {
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	a := s.Address()
	o := options(t, &a, time.Minute)
	e := open(t, o)
	p := wait(t, e, start(t, e, o, scripts("true", "exit 7")))
	if p.Status != target.Failed || p.Stages[0].Status != target.Succeeded || *p.Stages[1].Exit != 7 {
		t.Errorf("got %+v", p)
	}
}

// An external engine that goes away while a run is watched is waited for: the job
// goes on, is not started again, and the watcher sees the end.
func TestAnExternalEngineThatComesBack(t *testing.T) {
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	way := newPassage(t, s.Address().HostPort)
	a := s.Address()
	a.HostPort = way.address
	o := options(t, &a, time.Minute)
	waiting := make(chan struct{})
	once := sync.OnceFunc(func() { close(waiting) })
	o.Notice = func(string) { once() }
	e := open(t, o)
	dir := t.TempDir()
	starts, gate := filepath.Join(dir, "starts"), filepath.Join(dir, "gate")
	id := start(t, e, o, scripts(fmt.Sprintf("echo x >>%s; until [ -e %s ]; do sleep 0.05; done", starts, gate), "true"))
	eventually(t, "the stage starts", func() bool { return exists(starts) })
	way.close()
	done := make(chan *flow.Progress, 1)
	go func() {
		p, err := e.Watch(t.Context(), id, func(*flow.Progress) {})
		if err != nil {
			t.Error(err)
		}
		done <- p
	}()
	<-waiting
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	way.open(t)
	if p := <-done; p == nil || p.Status != target.Succeeded || p.Stages[0].Attempts != 1 {
		t.Errorf("got %+v", p)
	}
	if b, _ := os.ReadFile(starts); string(b) != "x\n" {
		t.Errorf("the stage was started %d times", len(b)/2)
	}
}

func TestManyCommandsShareOneServer(t *testing.T) {
	o := options(t, nil, time.Minute)
	pids := make(chan int, 10)
	var wg sync.WaitGroup
	for range cap(pids) {
		wg.Go(func() {
			e, err := engine.Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			pids <- e.Info().PID
			e.Close()
		})
	}
	wg.Wait()
	close(pids)
	one := <-pids
	for pid := range pids {
		if pid != one {
			t.Errorf("servers %d and %d", one, pid)
		}
	}
}

func TestAnIdleServerStops(t *testing.T) {
	o := options(t, nil, 300*time.Millisecond)
	e := open(t, o)
	wait(t, e, start(t, e, o, scripts("true")))
	pid := e.Info().PID
	if syscall.Kill(pid, 0) != nil {
		t.Fatal("the server stopped while a client held it")
	}
	e.Close()
	eventually(t, "the server stops", func() bool { return syscall.Kill(pid, 0) != nil })
	again := open(t, o) // and comes back, knowing what was
	if runs, err := again.List(t.Context(), 10); err != nil || len(runs) != 1 || runs[0].Status != target.Succeeded || runs[0].Pipeline != "test" {
		t.Errorf("runs are %+v, %v", runs, err)
	}
}
