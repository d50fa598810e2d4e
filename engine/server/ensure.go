package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// ErrNotStarted says that there is no background server, and could be none.
var ErrNotStarted = errors.New("the background server did not start")

// patience is how long a server may take to answer once it was started.
const patience = 60 * time.Second

// Ensure returns the server of the seat, after starting one with start when none
// answers, or when one of another build does. start returns once the process
// exists; many commands may do so at once, and one process wins.
func Ensure(ctx context.Context, s Seat, build string, start func() error) (Info, error) {
	if i, ok := Find(ctx, s); ok {
		if i.Build == build {
			return i, nil
		}
		if err := Stop(ctx, s); err != nil {
			return i, err
		}
	}
	if err := s.Prepare(); err != nil {
		return Info{}, err
	}
	if err := s.writable(); err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = os.Remove(s.failureFile())
	if err := start(); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	return s.await(ctx, start)
}

// startTries is how often a server is started that goes away without a word.
// Once may be needed: the one that held the seat was just stopping.
const startTries = 5

// await waits for an answer, or for the reason why there is none.
func (s Seat) await(ctx context.Context, start func() error) (Info, error) {
	look, tries := time.Now().Add(2*time.Second), 1
	for {
		if i, ok := Find(ctx, s); ok {
			return i, nil
		}
		if why, err := os.ReadFile(s.failureFile()); err == nil && len(why) > 0 {
			return Info{}, fmt.Errorf("%w: %s", ErrNotStarted, strings.TrimSpace(string(why)))
		}
		if time.Now().After(look) && s.vacant() {
			if err := s.writable(); err != nil {
				return Info{}, err
			}
			if tries++; tries > startTries {
				return Info{}, fmt.Errorf("%w: it ended without a word; its log is %s", ErrNotStarted, s.LogFile())
			}
			look = time.Now().Add(2 * time.Second)
			if err := start(); err != nil {
				return Info{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
			}
		}
		select {
		case <-ctx.Done():
			return Info{}, fmt.Errorf("%w: no answer within %v; its log is %s: %w", ErrNotStarted, patience, s.LogFile(), context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// vacant reports whether no process holds the seat.
func (s Seat) vacant() bool {
	release, err := lock(s.lockFile())
	if err == nil {
		release()
	}
	return err == nil
}

// Find returns the server of the seat when it answers now.
func Find(ctx context.Context, s Seat) (Info, bool) {
	i, err := s.info()
	if err != nil {
		return i, false
	}
	r, err := i.ask(ctx, http.MethodGet, "/status", 2*time.Second)
	if err != nil {
		return i, false
	}
	defer r.Body.Close()
	return i, r.StatusCode == http.StatusOK
}

// Stop asks the server of the seat to stop, and returns when it has gone. Jobs
// and endpoints go on without it. No server is not an error.
func Stop(ctx context.Context, s Seat) error {
	i, ok := Find(ctx, s)
	if !ok {
		return nil
	}
	r, err := i.ask(ctx, http.MethodPost, "/stop", 5*time.Second)
	if err != nil {
		return fmt.Errorf("ask the background server to stop: %w", err)
	}
	r.Body.Close()
	for !s.vacant() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the background server (process %d) has not stopped yet: %w", i.PID, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Hold keeps the server from stopping until release is called. The context that
// it returns ends with release, or as soon as the server has gone.
func Hold(i Info) (alive context.Context, release func(), err error) {
	alive, release = context.WithCancel(context.Background())
	r, err := i.ask(alive, http.MethodGet, "/hold", 0) //nolint:bodyclose // the goroutine below closes it
	if err != nil {
		release()
		return nil, nil, err
	}
	go func() {
		defer release()
		_, _ = io.Copy(io.Discard, r.Body) // lasts as long as the server does
		r.Body.Close()
	}()
	return alive, release, nil
}

func (i Info) ask(ctx context.Context, method, path string, within time.Duration) (*http.Response, error) {
	if i.Control == "" {
		return nil, errors.New("no address")
	}
	q, err := http.NewRequestWithContext(ctx, method, i.Control+path, nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+i.Token)
	return (&http.Client{Timeout: within}).Do(q)
}
