package stretch

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// loom holds the threads of an interpreter. One of them is at work at any time: the one
// that has the lock, which it gives away whenever it waits for something. When the
// stretch is over, all that still wait end there and then, without another step.
type loom struct {
	clock Clock

	mu      sync.Mutex
	alive   int       // threads
	parked  []*parked // those that wait for another thread, or for a time
	ended   bool
	over    chan struct{} // closed when the stretch is
	stirred chan struct{} // holds something when a thread has done something
}

// parked is a thread that waits.
type parked struct {
	until func() bool   // nil: for the time only
	at    time.Time     // zero: for ever
	wake  chan struct{} // closed when it may go on
}

func newLoom(c Clock) *loom {
	return &loom{clock: c, over: make(chan struct{}), stirred: make(chan struct{}, 1)}
}

// spin begins a thread.
func (l *loom) spin(f func()) {
	l.alive++
	go func() {
		l.mu.Lock()
		defer l.leave()
		if l.ended {
			return
		}
		f()
	}()
}

func (l *loom) leave() {
	l.alive--
	l.yield()
}

// yield gives the lock away, and wakes those whose condition holds now.
func (l *loom) yield() {
	for again := true; again && !l.ended; {
		again = false
		l.parked = slices.DeleteFunc(l.parked, func(p *parked) bool {
			if p.until == nil || !p.until() {
				return false
			}
			close(p.wake)
			return true
		})
	}
	l.stir()
	l.mu.Unlock()
}

// stir lets whoever watches know that something was done.
func (l *loom) stir() {
	select {
	case l.stirred <- struct{}{}:
	default:
	}
}

// take gets the lock back. A thread whose stretch is over goes no further.
func (l *loom) take() {
	l.mu.Lock()
	if l.ended {
		runtime.Goexit()
	}
}

// busy does something that takes time, while other threads go on.
func (l *loom) busy(f func()) {
	l.yield()
	defer l.take()
	f()
}

// park waits until a condition holds or a time has come; both may be missing. ok tells
// that the condition holds. An error is that of ctx.
func (l *loom) park(ctx context.Context, until func() bool, at time.Time) (ok bool, err error) {
	for {
		switch {
		case until != nil && until():
			return true, nil
		case ctx.Err() != nil:
			return false, ctx.Err()
		case !at.IsZero() && !l.clock.Now().Before(at):
			return false, nil
		}
		p := &parked{until: until, at: at, wake: make(chan struct{})}
		l.parked = append(l.parked, p)
		l.yield()
		var timer <-chan time.Time
		if !at.IsZero() {
			timer = l.clock.At(at)
		}
		select {
		case <-p.wake:
		case <-timer:
		case <-ctx.Done():
		case <-l.over:
		}
		l.take()
		l.parked = slices.DeleteFunc(l.parked, func(o *parked) bool { return o == p })
	}
}

// idle reports whether every thread waits, and for which time at least one of them does.
func (l *loom) idle() (idle bool, wake time.Time) {
	if l.alive != len(l.parked) {
		return false, wake
	}
	for _, p := range l.parked {
		if !p.at.IsZero() && (wake.IsZero() || p.at.Before(wake)) {
			wake = p.at
		}
	}
	return true, wake
}

// end stops all threads where they are. The caller holds the lock.
func (l *loom) end() {
	l.ended = true
	close(l.over)
}

// Clock tells the time.
type Clock interface {
	Now() time.Time
	// At gives something when the time has come.
	At(t time.Time) <-chan time.Time
}

// Wall is the clock of this computer.
type Wall struct{}

// Now implements Clock.
func (Wall) Now() time.Time { return time.Now() }

// At implements Clock.
func (Wall) At(t time.Time) <-chan time.Time { return time.After(time.Until(t)) }
