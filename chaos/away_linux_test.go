package chaos

import (
	"bytes"
	"flag"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var away = flag.Duration("away", 12*time.Second, "how long an external engine, or a target, is away")

// words collects what a command says while it runs.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// F4: an external engine is away: stopped for a while, or killed and started again.
// Jobs go on, whoever watches is told, and all is well afterwards.
func TestExternalEngineAway(t *testing.T) {
	long(t)
	t.Parallel()
	for name, harm := range map[string]struct{ leave, comeBack func(*engine) }{
		"stopped": {func(e *engine) { syscall.Kill(e.pid(), syscall.SIGSTOP) }, func(e *engine) { syscall.Kill(e.pid(), syscall.SIGCONT) }},
		"killed":  {func(e *engine) { e.killServer() }, func(e *engine) { e.restart() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, u := newEngine(t), newUser(t)
			e.uses(u, "127.0.0.1:0")
			g := u.gate("end")
			run := u.submit(step{name: "during", lines: 100, script: g.wait(), leaves: true}, step{name: "after", needs: []string{"during"}, lines: 10})
			u.until("the job runs", func() bool { return len(u.running()) == 1 })
			watch := u.command("wait", run)
			var said words
			watch.Stdout, watch.Stderr = &said, &said
			u.must(watch.Start())
			u.until("it is watched", func() bool { return strings.Contains(said.String(), "running") })
			harm.leave(e)
			back := time.Now().Add(*away)
			g.open()
			u.until("the job ended meanwhile", func() bool { return len(u.running()) == 0 })
			time.Sleep(time.Until(back))
			harm.comeBack(e)
			u.answers(run)
			u.observe(run)
			if err := watch.Wait(); err != nil {
				t.Errorf("who watched meanwhile ended with %v:\n%s", err, said.String())
			}
			if !strings.Contains(said.String(), "waiting for the engine") {
				t.Errorf("who watched was not told that the engine was away:\n%s", said.String())
			}
			u.judge()
		})
	}
}

// answers waits until an engine that came back answers for a run. A command that
// comes too early may be refused; it is told what it was.
func (u *user) answers(run string) {
	u.Helper()
	var refused string
	u.until("the engine answers for run "+run, func() bool {
		s := u.amlflow("status", run)
		if s.code != 0 && s.words != refused {
			refused = s.words
			u.Logf("too early, amlflow status ended with %d: %s", s.code, refused)
		}
		return s.code == 0
	})
}

// seats are the servers of a user's state folder.
func (u *user) seats() (names []string) {
	found, _ := filepath.Glob(filepath.Join(u.home, "server*", "server.json"))
	for _, f := range found {
		if name := filepath.Base(filepath.Dir(f)); u.server(name) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// second is the same state folder by another way to the engine: it gets a server,
// and so a worker, of its own.
func (e *engine) second(u *user) *user {
	other := *u
	other.within = nil
	e.uses(&other, "127.0.0.1:0")
	return &other
}

// F7: a worker is stopped for longer than its heartbeat, and another one takes
// over. When the first one goes on, what it still wants to report changes nothing.
func TestWorkerStopped(t *testing.T) {
	long(t)
	t.Parallel()
	e, u := newEngine(t), newUser(t)
	e.uses(u, "127.0.0.1:0")
	u.takenOver(e, func(pid int) { syscall.Kill(pid, syscall.SIGSTOP) }, func(pid int) { syscall.Kill(pid, syscall.SIGCONT) })
}

// takenOver runs a job while its worker is cut off, and lets a second worker see
// its end; then the first one comes back while two more jobs run.
func (u *user) takenOver(e *engine, cut, heal func(pid int)) {
	u.Helper()
	first, last := u.gate("first"), u.gate("last")
	run := u.submit(
		step{name: "one", lines: 100, script: first.wait(), leaves: true},
		step{name: "two", needs: []string{"one"}, lines: 100, script: last.wait()},
		step{name: "bad", lines: 100, script: last.wait(), exit: "7"},
	)
	u.until("the jobs run", func() bool { return len(u.running()) == 2 })
	seats := u.seats()
	if len(seats) != 1 {
		u.Fatalf("there are %d servers, want 1", len(seats))
	}
	pid := u.server(seats[0])
	cut(pid)
	u.saw(Fact{Is: Killed, Name: "worker, cut off", PID: pid})
	other := e.second(u)
	other.does("server", "start")
	first.open()
	u.until("the next stage starts, by the second worker", func() bool { return u.count(Started) == 3 })
	heal(pid)
	last.open()
	other.observe(run)
	if gone(pid) {
		u.Error("the first worker did not survive")
	}
	u.judge()
}

// F8: the way between worker and engine is cut, the one, the other, or both. It is
// as in F7, and no job is harmed for the want of an engine.
func TestWayToTheEngineBlocked(t *testing.T) {
	long(t)
	t.Parallel()
	for name, way := range map[string]struct{ in, back bool }{"to the engine": {true, false}, "back": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, u := newEngine(t), newUser(t)
			p := e.uses(u, "127.0.0.1:0")
			u.takenOver(e, func(int) { p.block(way.in, way.back) }, func(int) { p.block(false, false) })
		})
	}
}
