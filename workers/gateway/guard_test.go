package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// newGuardedPlace is a place whose gateway comes back by itself.
func newGuardedPlace(t *testing.T) *place {
	p := newPlace(t)
	p.env = append(p.env, guarded+"=1")
	t.Cleanup(func() {
		n := p.now()
		_ = syscall.Kill(n.PID, syscall.SIGTERM)
		p.reap()
		p.await("the gateway and its guard to end", func() bool { return !processLives(n.PID) && !processLives(n.Guard) && !processLives(n.Reserve) })
	})
	return p
}

// reap waits for the gateways that this process has started and that have ended.
func (p *place) reap() {
	for _, c := range p.started {
		_ = syscall.Kill(c.Process.Pid, syscall.SIGTERM)
		_ = c.Wait()
	}
	p.started = nil
}

// next waits for another gateway, with a guard, after that of was.
func (p *place) next(was now) (n now) {
	p.Helper()
	p.awaitOr("the next gateway", func() bool {
		n = p.now()
		return n.PID != was.PID && n.Reserve != 0 && processLives(n.Guard) && processLives(n.Reserve) && nudge(p.Dir)
	}, func() string { return fmt.Sprintf("%+v after %+v", n, was) })
	return n
}

// A gateway that is killed is back by itself. Nobody is refused; what breaks off is what
// it was about to answer, which succeeds when it is asked once more.
func TestAGuardedGatewayIsBackAtOnce(t *testing.T) {
	p := newGuardedPlace(t)
	url := p.live(p.quick("d1", "1"))
	var broken, refused atomic.Int64
	l := p.load(url, func(int, reply) error { return nil })
	again := p.again(url, &broken, &refused)
	n := p.next(now{})
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/m")
	const kills = 4
	var longest time.Duration
	for range kills {
		before := again.Load()
		kill(t, n.PID)
		began := time.Now()
		p.reapOne()
		// While nobody is there a connection waits; it is not refused.
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Errorf("a connection while the gateway is dead: %v", err)
		} else {
			c.Close()
		}
		p.await("an answer after the kill", func() bool { return again.Load() > before+2 })
		longest = max(longest, time.Since(began))
		n = p.next(n)
	}
	l.stop()
	if got := refused.Load(); got > 0 {
		t.Errorf("%d connections were refused", got)
	}
	if got := l.failed.Load(); got > kills*clients {
		t.Errorf("%d requests failed; more than were under way", got)
	}
	t.Logf("%d kills: %d of %d requests broke off; %d clients asked again, and were answered; at most %v until two answers", kills, l.failed.Load(), l.asked.Load(), broken.Load(), longest)
}

// The reserve does what the guard would have done, when that is killed with the gateway,
// and whoever of the three is killed is replaced.
func TestAGatewayAndItsGuardAreKilledAtOnce(t *testing.T) {
	p := newGuardedPlace(t)
	url := p.live(p.quick("d1", "1"))
	var broken, refused atomic.Int64
	again := p.again(url, &broken, &refused)
	n := p.next(now{})
	kill(t, n.Reserve)
	p.await("another reserve", func() bool { m := p.now(); return m.Reserve != n.Reserve && processLives(m.Reserve) })
	n = p.next(now{PID: -1})
	var longest time.Duration
	for range 3 {
		before := again.Load()
		kill(t, n.Guard)
		kill(t, n.PID)
		began := time.Now()
		p.reapOne()
		p.await("an answer after the kill", func() bool { return again.Load() > before+2 })
		longest = max(longest, time.Since(began))
		was := n
		n = p.next(n)
		p.await("the end of the old reserve", func() bool { return !processLives(was.Reserve) })
	}
	if got := refused.Load(); got > 0 {
		t.Errorf("%d connections were refused", got)
	}
	t.Logf("%d of %d requests broke off; at most %v until two answers", broken.Load(), again.Load(), longest)
}

// Whoever keeps a gateway is told when it has ended, also when nothing is left of it.
func TestTheEndOfAGatewayIsNoticed(t *testing.T) {
	p := newGuardedPlace(t)
	if Fallen(t.Context(), p.Dir) {
		t.Error("there was none")
	}
	p.live(p.quick("d1", "1"))
	p.next(now{})
	p.await("a reserve", func() bool { return processLives(p.now().Reserve) })
	n := p.now()
	cancelled, cancel := context.WithCancel(t.Context())
	said := make(chan bool, 2)
	go func() { said <- Fallen(cancelled, p.Dir) }()
	cancel()
	if <-said {
		t.Error("the one who has cancelled is told of an end")
	}
	go func() { said <- Fallen(t.Context(), p.Dir) }()
	select {
	case <-said:
		t.Error("it has not ended")
	case <-time.After(50 * time.Millisecond):
	}
	kill(t, n.Reserve)
	kill(t, n.Guard)
	kill(t, n.PID)
	if !<-said {
		t.Error("its end was not noticed")
	}
	p.reapOne()
}

// Somebody else may start a gateway in the moment in which one is killed. It has no
// socket, and is not to take the place of the one that the guard has for it.
func TestAStrangerLeavesThePlaceToTheGuard(t *testing.T) {
	p := newGuardedPlace(t)
	url := p.live(p.quick("d1", "1"))
	var broken, refused atomic.Int64
	again := p.again(url, &broken, &refused)
	n := p.next(now{})
	for range 4 {
		before := again.Load()
		kill(t, n.PID)
		if err := p.startProcess(p.Dir); err != nil {
			t.Fatal(err)
		}
		p.await("an answer after the kill", func() bool { return again.Load() > before+2 })
		if n = p.next(n); n.PID == p.started[len(p.started)-1].Process.Pid {
			t.Fatal("a stranger is the gateway")
		}
		p.reapOne() // the stranger has ended by itself
	}
	if got := refused.Load(); got > 0 {
		t.Errorf("%d connections were refused", got)
	}
}

// again asks until the test ends, and once more when a request breaks off. It returns
// how many were answered.
func (p *place) again(url string, broken, refused *atomic.Int64) *atomic.Int64 {
	var answered atomic.Int64
	end, ended := make(chan struct{}), make(chan struct{})
	p.Cleanup(func() { close(end); <-ended })
	go func() {
		defer close(ended)
		c := &http.Client{}
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
			_, err := ask(c, url, "1")
			if err != nil {
				broken.Add(1)
				_, err = ask(c, url, "1")
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				refused.Add(1)
			}
			if err == nil {
				answered.Add(1)
			}
		}
	}()
	return &answered
}

// reapOne removes what is left of a gateway that was started here and killed.
func (p *place) reapOne() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.started {
		_ = c.Wait()
	}
	p.started = nil
}

func TestAGuardThatIsKilledIsReplaced(t *testing.T) {
	p := newGuardedPlace(t)
	url := p.live(p.quick("d1", "1"))
	n := p.next(now{})
	kill(t, n.Guard)
	var next now
	p.await("another guard", func() bool { next = p.now(); return next.Guard != n.Guard })
	if next.PID != n.PID {
		t.Errorf("the gateway was %d and is %d", n.PID, next.PID)
	}
	kill(t, next.PID)
	p.reapOne()
	p.next(next)
	p.await("an answer", func() bool { _, err := ask(http.DefaultClient, url, "1"); return err == nil })
}

// One that is told to end does, and its guard with it; one that has nothing to do, too.
func TestAGuardLetsItsGatewayEnd(t *testing.T) {
	p := newGuardedPlace(t)
	url := p.live(p.quick("d1", "1"))
	n := p.next(now{})
	if err := p.Retire(t.Context(), "web", "m"); err != nil {
		t.Fatal(err)
	}
	p.reapOne()
	p.await("the end of the guards", func() bool { return !processLives(n.Guard) && !processLives(n.Reserve) })
	if _, err := http.Get(url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port is still open: %v", err)
	}
}
