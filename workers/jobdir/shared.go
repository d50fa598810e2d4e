package jobdir

import "sync"

// shared serves those who ask at about the same time by one run of do. Whoever
// asks gets the result of a run that began after the question: a run that is
// under way may have passed what the question is about.
type shared[T any] struct {
	do      func() T
	running sync.Mutex // held during a run

	mu   sync.Mutex
	next *run[T] // has not begun yet; nil when no one waits for it
}

type run[T any] struct {
	once   sync.Once
	result T
}

func (s *shared[T]) ask() T {
	s.mu.Lock()
	if s.next == nil {
		s.next = &run[T]{}
	}
	r := s.next
	s.mu.Unlock()
	r.once.Do(func() {
		s.running.Lock()
		defer s.running.Unlock()
		s.mu.Lock()
		s.next = nil // all who got this run asked before here, and it begins below
		s.mu.Unlock()
		r.result = s.do()
	})
	return r.result
}
