package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"

	"golang.org/x/crypto/ssh"
)

// The bounds of a connection.
const (
	connectWithin = 10 * time.Second // to the host, until somebody is logged in
	mostSessions  = 8                // at once; servers allow 10 unless they are told otherwise
)

// link is a connection to one host, made when it is needed and again when it was cut.
// It is a remote.Shell.
type link struct {
	way           route
	every, within time.Duration // aliveEvery and aliveWithin; tests have less patience

	dialing  chan struct{} // holds one: whoever takes it may connect
	sessions *slots
	mu       sync.Mutex
	client   *ssh.Client
	failed   error     // of the last try to connect
	at       time.Time // when that was
}

var _ remote.Shell = (*link)(nil)

func newLink(way route) *link {
	l := &link{way: way, every: aliveEvery, within: aliveWithin, dialing: make(chan struct{}, 1), sessions: newSlots(mostSessions)}
	l.dialing <- struct{}{}
	return l
}

// Run implements remote.Shell.
func (l *link) Run(ctx context.Context, script string, in io.Reader, out io.Writer) error {
	s, leave, err := l.session(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	err = converse(s, script, in, out)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return l.explain(err)
}

// converse runs a script in a session.
func converse(s *ssh.Session, script string, in io.Reader, out io.Writer) error {
	stdin, err := s.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := s.StdoutPipe()
	if err != nil {
		return err
	}
	var said remote.Tail
	s.Stderr = &said
	// The login shell, whichever it is, sees one word in single quotes.
	if err := s.Start("exec /bin/sh -c '" + script + "'"); err != nil {
		return err
	}
	go func() {
		if in != nil {
			_, _ = io.Copy(stdin, in) // a host that wants no more says why by its status
		}
		stdin.Close()
	}()
	_, unwritten := io.Copy(out, stdout)
	if unwritten != nil {
		s.Close() // it would wait for a reader for ever
	}
	err = s.Wait()
	var ended *ssh.ExitError
	switch {
	case errors.As(err, &ended):
		return &remote.ExitError{Status: ended.ExitStatus(), Stderr: said.String()}
	case unwritten != nil:
		return written{unwritten}
	}
	return err
}

// written is an error of whoever reads what a script prints, and not of the host.
type written struct{ error }

func (w written) Unwrap() error { return w.error }

// explain tells what the host has said from what never came back from it.
func (l *link) explain(err error) error {
	var ended *remote.ExitError
	var ours written
	switch {
	case err == nil, errors.As(err, &ended):
		return err
	case errors.As(err, &ours):
		return ours.error
	}
	return fmt.Errorf("the connection to %s was cut: %w: %w", l.way.last(), err, target.ErrUnreachable)
}

// session opens a session, on a new connection where the old one turns out to be gone:
// nothing has been asked of it yet.
func (l *link) session(ctx context.Context) (*ssh.Session, func(), error) {
	for try := 0; ; try++ {
		client, fresh, err := l.connected(ctx)
		if err != nil {
			return nil, nil, err
		}
		s, leave, err := l.sessions.open(ctx, client)
		if err == nil || ctx.Err() != nil {
			return s, leave, err
		}
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return nil, nil, fmt.Errorf("%s opens no session: %w: %w", l.way.last(), err, target.ErrUnreachable)
		}
		l.forget(client)
		if fresh || try > 0 {
			return nil, nil, l.explain(err)
		}
	}
}

// connected returns the connection, and whether it was made just now. Those who wait for
// a try to connect share what comes of it.
func (l *link) connected(ctx context.Context) (client *ssh.Client, fresh bool, err error) {
	asked := time.Now()
	if c := l.current(); c != nil {
		return c, false, nil
	}
	select {
	case <-l.dialing:
		defer func() { l.dialing <- struct{}{} }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if c := l.current(); c != nil {
		return c, false, nil
	}
	l.mu.Lock()
	failed, at := l.failed, l.at
	l.mu.Unlock()
	if failed != nil && at.After(asked) {
		return nil, false, failed
	}
	client, heard, err := l.dial(ctx)
	l.mu.Lock()
	l.client, l.failed, l.at = client, err, time.Now()
	if ctx.Err() != nil {
		l.failed = nil // it was our haste
	}
	l.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	go l.watch(client, heard)
	return client, true, nil
}

func (l *link) current() *ssh.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client
}

func (l *link) forget(client *ssh.Client) {
	client.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == client {
		l.client = nil
	}
}

// dial connects to the host, by way of the machines before it.
func (l *link) dial(ctx context.Context) (client *ssh.Client, heard *hearing, err error) {
	known, err := newTrust(l.way.KnownHosts)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range l.way.Hops {
		var next *ssh.Client
		next, heard, err = l.enter(ctx, client, h, known)
		if err != nil {
			if client != nil {
				client.Close()
			}
			return nil, nil, err
		}
		if before := client; before != nil {
			go func() { // a jump host is needed as long as what is behind it
				_ = next.Wait()
				before.Close()
			}()
		}
		client = next
	}
	return client, heard, nil
}

// enter logs in to one machine, through the connection to the one before.
func (l *link) enter(ctx context.Context, through *ssh.Client, h hop, known *trust) (*ssh.Client, *hearing, error) {
	id, err := l.way.identify(ctx, h)
	if err != nil {
		return nil, nil, fmt.Errorf("log in to %s: %w", h, err)
	}
	defer id.close()
	limit, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	var conn net.Conn
	if through == nil {
		conn, err = (&net.Dialer{}).DialContext(limit, "tcp", h.address())
	} else {
		conn, err = through.DialContext(limit, "tcp", h.address())
	}
	if err != nil {
		return nil, nil, l.unreachable(ctx, limit, h, err)
	}
	heard := &hearing{Conn: conn}
	var refused error
	conf := &ssh.ClientConfig{User: h.User, Auth: id.methods, HostKeyCallback: known.callback(&refused), HostKeyAlgorithms: known.algorithms(h.address())}
	stop := context.AfterFunc(limit, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(heard, h.address(), conf)
	stop()
	switch {
	case err == nil:
		return ssh.NewClient(c, channels, requests), heard, nil
	case refused != nil:
		err = refused
	case strings.Contains(err.Error(), "unable to authenticate"):
		err = fmt.Errorf("%s refuses to log %q in: tried were %s: name the right key as `identity_file` of the target, or put its public part into ~/.ssh/authorized_keys there: %w", h.address(), h.User, strings.Join(id.tried, ", "), target.ErrPermanent)
	default:
		err = l.unreachable(ctx, limit, h, err)
	}
	conn.Close()
	return nil, nil, err
}

func (l *link) unreachable(ctx, limit context.Context, h hop, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if limit.Err() != nil {
		err = fmt.Errorf("no answer within %v", connectWithin)
	}
	return fmt.Errorf("%s cannot be reached: %w: %w", h.address(), err, target.ErrUnreachable)
}
