package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errNoneReady = errors.New("no instance is ready")
	errFull      = errors.New("all places are taken, and so is the queue; try again soon")
)

// places are those that the instances of a version have for requests, and the queue of
// the requests that wait for one. A place that becomes free goes to the one that has
// waited longest.
type places struct {
	each  int // requests at once in each instance; 0: no bound
	queue int // requests that may wait
	wants func()

	turn atomic.Uint32
	list atomic.Pointer[[]*instance] // what instances is, for those who do not hold mu

	mu        sync.Mutex
	instances []*instance // in rotation
	grows     bool        // there will be an instance though there is none
	waiting   []*waiter
	busy      int // requests that are being answered

	// The integral of all requests over time, for those who ask how many there are.
	area float64
	at   time.Time
}

// waiter is a request that waits. It gets nil when there is nothing to hope for.
type waiter struct{ got chan *instance }

// take returns an instance that answers the fewest requests, with this one on its
// account. Those in without are left out. When none has a place it waits for one,
// unless there is none to come.
func (p *places) take(ctx context.Context, without map[*instance]bool) (*instance, error) {
	if p.free() {
		if i := p.best(without); i != nil {
			i.pending.Add(1)
			return i, nil
		}
	}
	p.mu.Lock()
	if i := p.pick(without); i != nil {
		p.mu.Unlock()
		return i, nil
	}
	if !p.hope() {
		defer p.mu.Unlock()
		return nil, p.whyNone()
	}
	if len(p.waiting) >= p.queue {
		p.mu.Unlock()
		return nil, errFull
	}
	p.count()
	w := &waiter{got: make(chan *instance, 1)}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	if p.wants != nil {
		p.wants()
	}
	return p.await(ctx, w)
}

func (p *places) await(ctx context.Context, w *waiter) (*instance, error) {
	select {
	case i := <-w.got:
		if i == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			return nil, p.whyNone()
		}
		return i, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.count()
	p.waiting = slices.DeleteFunc(p.waiting, func(o *waiter) bool { return o == w })
	p.mu.Unlock()
	select {
	case i := <-w.got: // it came too late
		if i != nil {
			p.leave(i)
		}
	default:
	}
	return nil, context.Cause(ctx)
}

// free reports whether a request takes no place from another and nobody counts them, so
// that none has to wait for the lock: that of a process which has no turn on the machine
// is long in coming.
func (p *places) free() bool { return p.each == 0 && !p.grows }

// pick takes a place, if there is one. The caller holds mu.
func (p *places) pick(without map[*instance]bool) *instance {
	best := p.best(without)
	if best != nil {
		p.count()
		p.busy++
		best.pending.Add(1)
	}
	return best
}

// best is the instance that has a place and answers the fewest requests, or nil.
func (p *places) best(without map[*instance]bool) *instance {
	list := p.list.Load()
	if list == nil {
		return nil
	}
	var best *instance
	turn := int(p.turn.Add(1) % (1 << 16))
	for n := range *list {
		i := (*list)[(turn+n)%len(*list)] // the first of equals takes turns
		if without[i] || !i.ready() || p.each > 0 && i.pending.Load() >= int64(p.each) {
			continue
		}
		if best == nil || i.pending.Load() < best.pending.Load() {
			best = i
		}
	}
	return best
}

// hope reports whether a place may become free, or an instance ready, soon. The caller
// holds mu.
func (p *places) hope() bool {
	return p.grows && len(p.instances) == 0 || slices.ContainsFunc(p.instances, (*instance).promising)
}

// whyNone says in words why no instance is ready. The caller holds mu.
func (p *places) whyNone() error {
	for _, i := range p.instances {
		if reason := i.view().Reason; reason != "" {
			return fmt.Errorf("%w: %s", errNoneReady, reason)
		}
	}
	return fmt.Errorf("%w; it is being started again", errNoneReady)
}

// leave gives back a place.
func (p *places) leave(i *instance) {
	if p.free() {
		i.pending.Add(-1) // nobody waits for a place, only for an instance
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count()
	p.busy--
	i.pending.Add(-1)
	p.serve()
}

// changed hands out what there is, after instances came, went, or are ready.
func (p *places) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve()
}

func (p *places) serve() {
	for len(p.waiting) > 0 {
		i := p.pick(nil)
		if i == nil && p.hope() {
			return
		}
		p.count()
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		w.got <- i
	}
}

// all are the instances in rotation. They are not to be changed.
func (p *places) all() []*instance {
	if list := p.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add takes the instance into rotation.
func (p *places) add(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances = append(slices.Clone(p.instances), i)
	p.publish()
	p.serve()
}

// remove takes the instance out of rotation; what it answers it goes on to answer.
func (p *places) remove(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances = slices.DeleteFunc(slices.Clone(p.instances), func(o *instance) bool { return o == i })
	p.publish()
	p.serve()
}

// publish shows the instances to those who do not hold mu.
func (p *places) publish() {
	list := p.instances
	p.list.Store(&list)
}

func (p *places) anyReady() bool {
	return slices.ContainsFunc(p.all(), (*instance).ready)
}

// others reports whether an instance is ready that is not among these.
func (p *places) others(than map[*instance]bool) bool {
	return slices.ContainsFunc(p.all(), func(i *instance) bool { return !than[i] && i.ready() })
}

// count adds the time that has passed to the integral. The caller holds mu, and is
// about to change how many requests there are.
func (p *places) count() {
	now := time.Now()
	if !p.at.IsZero() {
		p.area += now.Sub(p.at).Seconds() * float64(p.busy+len(p.waiting))
	}
	p.at = now
}

// load returns how many requests wait, how many there are, and the integral of that
// over time in seconds.
func (p *places) load() (waiting, all int, area float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count()
	return len(p.waiting), p.busy + len(p.waiting), p.area
}
