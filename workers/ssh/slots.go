package ssh

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/crypto/ssh"
)

// slots bounds how many sessions a connection has at once. A server that allows fewer
// than we think teaches us how many.
type slots struct {
	mu    sync.Mutex
	most  int
	used  int
	freed chan struct{} // closed, and made anew, when one becomes free
}

func newSlots(most int) *slots { return &slots{most: most, freed: make(chan struct{})} }

// open opens a session once there is room for it. The function that it returns gives
// the room back.
func (s *slots) open(ctx context.Context, client *ssh.Client) (*ssh.Session, func(), error) {
	for {
		if err := s.take(ctx); err != nil {
			return nil, nil, err
		}
		session, err := client.NewSession()
		if err == nil {
			return session, s.leave, nil
		}
		var refused *ssh.OpenChannelError
		again := errors.As(err, &refused) && s.learn()
		s.leave()
		if !again {
			return nil, nil, err
		}
	}
}

func (s *slots) take(ctx context.Context) error {
	for {
		s.mu.Lock()
		freed := s.freed
		if s.used < s.most {
			s.used++
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	close(s.freed)
	s.freed = make(chan struct{})
}

// learn takes note that there is no room for as many as are open now and one more, and
// reports whether it makes sense to wait for one of these to end.
func (s *slots) learn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used <= 1 {
		return false
	}
	s.most = min(s.most, s.used-1)
	return true
}
