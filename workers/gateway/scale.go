package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// lookAtLoad is how often the load is compared with the number of instances.
const lookAtLoad = 200 * time.Millisecond

// scaling makes the number of instances of a version follow its load.
type scaling struct {
	*version
	decide *scaler
	wanted chan struct{} // a request waits
	area   float64       // of the load, when it was looked at the last time
	at     time.Time

	mu      sync.Mutex
	leaving map[int]bool // numbers of instances that are being stopped; no other has them meanwhile
}

func newScaling(v *version) *scaling {
	s := &scaling{version: v, decide: newScaler(*v.Scale, v.Limits.Concurrent), wanted: make(chan struct{}, 1), at: time.Now(), leaving: map[int]bool{}}
	v.places.wants = func() {
		select {
		case s.wanted <- struct{}{}:
		default:
		}
	}
	return s
}

func (s *scaling) run() {
	tick := time.NewTicker(lookAtLoad)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wanted:
			// Only the first instance is worth more than the pace.
			if len(s.places.all()) > 0 {
				continue
			}
		case <-tick.C:
		}
		s.look()
	}
}

// look starts or stops instances, if there are to be more or fewer.
func (s *scaling) look() {
	waiting, now, area := s.places.load()
	at := time.Now()
	load := float64(now)
	if past := at.Sub(s.at).Seconds(); past > 0 {
		load = max((area-s.area)/past, min(load, float64(waiting)))
	}
	s.area, s.at = area, at
	have := s.places.all()
	want := s.decide.want(at, load, waiting, len(have))
	if !s.answers.Load() {
		want = max(want, 1) // what is kept or held is to answer at once
	}
	for range want - len(have) {
		s.start()
	}
	if want < len(have) {
		for _, i := range have[max(want, 0):] {
			s.log.Info("fewer instances are needed", "stop", i.number, "want", want)
			s.places.remove(i)
			s.leave(i.number, true)
			s.keepers.Go(func() {
				s.dismiss(i)
				s.leave(i.number, false)
			})
		}
	}
}

// start adds an instance with the lowest number that is free.
func (s *scaling) start() {
	taken := s.recorded()
	for _, i := range s.places.all() {
		taken = append(taken, i.number)
	}
	n := 0
	s.mu.Lock()
	for slices.Contains(taken, n) || s.leaving[n] {
		n++
	}
	s.mu.Unlock()
	s.log.Info("more instances are needed", "start", n)
	i := s.instance(n)
	s.tend(i)
	s.places.add(i)
}

// leave notes that an instance with this number is being stopped, or has been.
func (s *scaling) leave(n int, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving[n] = is
}

// dismiss stops an instance that is out of rotation, after it has answered what it
// was asked. A gateway that dies meanwhile finds it again, and decides anew.
func (s *scaling) dismiss(i *instance) {
	limit, cancel := context.WithTimeout(s.ctx, s.drainFor())
	defer cancel()
	for i.pending.Load() > 0 && sleep(limit, 5*time.Millisecond) == nil {
	}
	if s.ctx.Err() != nil {
		return
	}
	i.leave()
	<-i.left
	for {
		err := i.dissolve(s.ctx)
		if err == nil {
			return
		}
		if sleep(s.ctx, time.Second) != nil {
			return // the next gateway goes on
		}
		s.log.Error("stop an instance", "instance", i.number, "error", err)
	}
}

// dissolve ends the process of an instance that is none any more; its log stays.
func (i *instance) dissolve(ctx context.Context) error {
	all, err := i.of.lives(i.number)
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := i.maker.end(ctx, l); err != nil {
			return err
		}
		if err := l.pullLast(ctx, i.maker); errors.Is(err, target.ErrUnreachable) {
			return err
		}
	}
	// The next one with this number is another job than any before, whose folders are gone.
	if err := i.remember(); err != nil {
		return err
	}
	// Without its record it is none any more.
	if err := os.Remove(filepath.Join(i.dir, nowFile)); ignoreMissing(err) != nil {
		return err
	}
	for _, l := range all {
		err = errors.Join(err, finish(ctx, i.maker, l))
	}
	return err
}
