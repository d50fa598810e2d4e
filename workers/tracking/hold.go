package tracking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// The ports to choose from, below those that the system hands out by itself: nobody is
// likely to have taken ours when we come back to it.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// hold is the socket of a state folder, and the lock that says who has it.
type hold struct {
	port   int
	socket *os.File
	lock   *os.File
	done   chan struct{} // closed to stop waiting for a request
}

// claim sees to it that somebody of ours listens at the address, and returns its port.
func (s *Service) claim() (int, error) {
	if s.hold != nil {
		return s.hold.port, nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return 0, err
	}
	path := filepath.Join(s.dir, portFile)
	for range 50 {
		lock, err := jobdir.TryLock(path, syscall.LOCK_EX)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			if port, err := readPort(path); err == nil {
				return port, nil // another process has it, or the one that answers
			}
			time.Sleep(10 * time.Millisecond) // it is being written
			continue
		}
		if err != nil {
			return 0, err
		}
		h, err := listen(path, lock)
		if err != nil {
			return 0, errors.Join(err, lock.Close())
		}
		s.hold = h
		go s.await(h)
		return h.port, nil
	}
	return 0, fmt.Errorf("%q holds no port: remove it when no job is running", path)
}

// listen opens the socket: at the port that was used before, so that jobs which know it
// are answered, else at another.
func listen(path string, lock *os.File) (*hold, error) {
	var l net.Listener
	port, err := readPort(path)
	if err == nil {
		l, err = net.Listen("tcp4", address(port))
	}
	for try := 0; l == nil && try < 100; try++ {
		port = firstPort + rand.IntN(lastPort-firstPort)
		l, err = net.Listen("tcp4", address(port))
	}
	if l == nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	defer l.Close()
	if err := lock.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(port)+"\n"), 0); err != nil {
		return nil, err
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	return &hold{port: port, socket: socket, lock: lock, done: make(chan struct{})}, nil
}

func readPort(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	line, whole := strings.CutSuffix(string(text), "\n")
	port, err := strconv.Atoi(line)
	if err != nil || !whole || port < 1 || port > 65535 {
		return 0, fs.ErrInvalid
	}
	return port, nil
}

// await starts the process whenever a request waits and nobody takes it.
func (s *Service) await(h *hold) {
	for s.asked(h) {
		if err := s.ensure(h); err != nil {
			s.say(err)
		}
		select {
		case <-h.done:
			return
		case <-time.After(100 * time.Millisecond): // it takes the request now
		}
	}
}

// asked waits until a client has connected, without taking the connection. It is false
// when there is nothing more to wait for.
func (s *Service) asked(h *hold) bool {
	f, err := duplicate(h.socket)
	if err != nil {
		s.say(fmt.Errorf("wait for requests: %w", err))
		return false
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-h.done:
		case <-ended:
		}
		f.Close() // ends the waiting
	}()
	raw, err := f.SyscallConn()
	return err == nil && raw.Read(readable) == nil
}

// duplicate is another file for the same socket, which can be waited for.
func duplicate(socket *os.File) (*os.File, error) {
	fd := -1
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(own uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, failed = syscall.Dup(int(own)); failed == nil {
			syscall.CloseOnExec(fd)
			failed = syscall.SetNonblock(fd, true)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), socket.Name()), nil
}

// upWithin bounds how long the process may take to begin.
const upWithin = 20 * time.Second

// ensure starts the process, unless one answers, and waits until it does.
func (s *Service) ensure(h *hold) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	if answered(s.dir) {
		return nil
	}
	ended, err := s.start(s.dir, h.socket, h.lock)
	if err != nil {
		return fmt.Errorf("start the process: %w", err)
	}
	for until := time.Now().Add(upWithin); !answered(s.dir); {
		select {
		case <-h.done:
			return nil
		case <-ended:
			return nil // another one answers, or it was killed
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(until) {
			return fmt.Errorf("the process did not begin within %v", upWithin)
		}
	}
	return nil
}

// answered reports whether the process of dir lives.
func answered(dir string) bool {
	lock, err := jobdir.TryLock(filepath.Join(dir, lockFile), syscall.LOCK_SH)
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, syscall.EWOULDBLOCK)
}

func (s *Service) say(err error) {
	f, e := os.OpenFile(LogFile(s.dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if e == nil {
		fmt.Fprintf(f, "time=%s level=ERROR msg=%q\n", time.Now().UTC().Format(time.RFC3339), err.Error())
		f.Close()
	}
}

// longJob is how long a job must have run to be worth a process that answers it whatever
// becomes of this one.
const longJob = 5 * time.Second

// Keep does what is due from time to time: it brings the address and the process back for
// jobs that may need them.
func (s *Service) Keep(_ context.Context) error {
	if s == nil || s.start == nil {
		return nil
	}
	h, err := s.needed()
	if h == nil || err != nil {
		return err
	}
	return s.ensure(h)
}

// needed brings the address back, and returns it when a process should be behind it.
func (s *Service) needed() (*hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	long := false
	for job, since := range s.jobs {
		if v, err := jobdir.Look(job); err != nil || v.Phase == jobdir.Ended || v.Phase == jobdir.Lost || !there(job) {
			delete(s.jobs, job)
		} else if v.Phase == jobdir.Running && time.Since(since) >= longJob {
			long = true
		}
	}
	if len(s.jobs) == 0 {
		return nil, nil
	}
	if _, err := s.claim(); err != nil || !long {
		return nil, err
	}
	return s.hold, nil // nil: another process has the address
}

// Close gives the address up, and leaves it to the process if there is one.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold != nil {
		close(s.hold.done)
		s.hold.socket.Close()
		s.hold.lock.Close()
		s.hold = nil
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
