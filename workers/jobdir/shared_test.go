package jobdir

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever asks while a run is under way is not served by it.
func TestAQuestionIsAnsweredByALaterRun(t *testing.T) {
	var runs atomic.Int32
	first, proceed := make(chan struct{}), make(chan struct{})
	s := shared[int32]{}
	s.do = func() int32 {
		n := runs.Add(1)
		if n == 1 {
			close(first)
			<-proceed
		}
		return n
	}
	var all sync.WaitGroup
	all.Go(func() {
		if got := s.ask(); got != 1 {
			t.Errorf("the first got the answer of run %d", got)
		}
	})
	<-first
	const late = 50
	var asking sync.WaitGroup
	asking.Add(late)
	for range late {
		all.Go(func() {
			asking.Done()
			if got := s.ask(); got < 2 {
				t.Errorf("got the answer of run %d, which began before the question", got)
			}
		})
	}
	asking.Wait()
	close(proceed)
	all.Wait()
	t.Logf("%d runs served %d who asked", runs.Load(), late+1)
}
