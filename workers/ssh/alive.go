package ssh

import (
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// The bounds of a silence: a cable that was pulled says nothing by itself.
const (
	aliveEvery  = 5 * time.Second // a question whether the host is still there
	aliveWithin = 8 * time.Second // of nothing at all; then it is not
)

// hearing is a connection that remembers when anything came last. On a slow line the
// answer to a question waits behind what is being sent, which is an answer, too.
type hearing struct {
	net.Conn
	last atomic.Int64 // nanoseconds since 1970
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// quiet is for how long nothing has come since a question was asked.
func (h *hearing) quiet(asked time.Time) time.Duration {
	return time.Since(time.Unix(0, max(h.last.Load(), asked.UnixNano())))
}

// watch asks the host from time to time whether it is there, and gives the connection
// up when it says nothing.
func (l *link) watch(client *ssh.Client, h *hearing) {
	ended := make(chan struct{})
	go func() {
		_ = client.Wait() // why it ended is told to those who use it
		close(ended)
	}()
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	defer l.forget(client)
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		asked, answered := time.Now(), make(chan error, 1)
		go func() {
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		for waiting := true; waiting; {
			select {
			case err := <-answered:
				if waiting = false; err != nil {
					return
				}
			case <-ended:
				return
			case <-time.After(l.within - h.quiet(asked)):
				if h.quiet(asked) >= l.within {
					return
				}
			}
		}
	}
}
