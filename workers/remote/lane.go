package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lane is a session that stays, for short verbs: to open one costs more than most of
// them, above all where the login shell has much to do first.
type lane struct {
	turn gate // one verb at a time
	open *track
	idle *time.Timer
}

// idleFor is how long a lane stays without being used.
const idleFor = 20 * time.Second

// track is one such session.
type track struct {
	mark  string
	in    *io.PipeWriter
	out   *bufio.Reader
	ended chan struct{} // closed once err is set
	err   error         // why it has ended; nil when it was asked to
	close func()
}

// short does one verb in the lane. It must be one that may be done again, because a lane
// may turn out to be cut in the middle of it, and that waits for nothing.
func (m *Machine) short(ctx context.Context, verb string, args ...string) (string, error) {
	if _, err := m.Facts(ctx); err != nil { // the tool is there then
		return "", err
	}
	if err := m.lane.turn.enter(ctx); err != nil {
		return "", err
	}
	defer m.lane.turn.leave()
	for {
		t, used := m.lane.open, m.lane.open != nil
		if !used {
			t = m.track(ctx)
		}
		text, err := t.do(ctx, verb, args)
		var ours answered
		switch {
		case err == nil, errors.As(err, &ours):
			m.lane.keep(t)
			return text, errors.Unwrap(err)
		case ctx.Err() != nil:
			m.lane.drop(t)
			return "", context.Cause(ctx)
		}
		m.lane.drop(t)
		if !used {
			return "", err
		}
	}
}

// answered is an error that the machine has told, and not one of the way to it.
type answered struct{ error }

func (a answered) Unwrap() error { return a.error }

// keep leaves t open for the next verb.
func (l *lane) keep(t *track) {
	l.open = t
	if l.idle != nil {
		l.idle.Stop()
	}
	l.idle = time.AfterFunc(idleFor, func() {
		if l.turn.enter(context.Background()) == nil {
			defer l.turn.leave()
			if l.open == t {
				l.drop(t)
			}
		}
	})
}

func (l *lane) drop(t *track) {
	t.close()
	if l.open == t {
		l.open = nil
	}
}

// track opens a session. It outlives ctx.
func (m *Machine) track(ctx context.Context) *track {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	requests, in := io.Pipe()
	answers, out := io.Pipe()
	t := &track{in: in, out: bufio.NewReader(answers), ended: make(chan struct{})}
	var once sync.Once
	t.close = func() {
		once.Do(func() {
			in.Close()
			answers.CloseWithError(errUnread)
			cancel()
		})
	}
	reply := &reply{mark: token(), to: out}
	t.mark = reply.mark
	go func() {
		defer close(t.ended)
		t.err = m.tryMarked(ctx, func(w io.Writer) error {
			_, err := io.Copy(w, requests)
			return err
		}, reply, "serve", nil)
		requests.CloseWithError(errUnread)
		out.CloseWithError(io.EOF)
	}()
	return t
}

// do sends one verb and reads its answer.
func (t *track) do(ctx context.Context, verb string, args []string) (string, error) {
	stop := context.AfterFunc(ctx, t.close)
	defer stop()
	text, err := t.exchange(strings.Join(append([]string{verb}, args...), " ") + "\n")
	var ours answered
	if err == nil || errors.As(err, &ours) {
		return text, err
	}
	t.close()
	<-t.ended
	if t.err != nil {
		return "", t.err
	}
	return "", fmt.Errorf("the host has ended the session: %w", err)
}

func (t *track) exchange(line string) (string, error) {
	if _, err := io.WriteString(t.in, line); err != nil {
		return "", err
	}
	var text strings.Builder
	for {
		line, err := t.out.ReadString('\n')
		if err != nil {
			return "", err
		}
		rest, ok := strings.CutPrefix(line, t.mark+" ")
		if !ok {
			text.WriteString(line)
			continue
		}
		number, said, _ := strings.Cut(strings.TrimSuffix(rest, "\n"), " ")
		status, err := strconv.Atoi(number)
		if err != nil {
			return "", fmt.Errorf("the host answered %.100q", line)
		}
		if status != 0 {
			return "", answered{&ExitError{Status: status, Stderr: said}}
		}
		return strings.TrimSuffix(text.String(), "\n"), nil // that of the line with the mark
	}
}
