package docker

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// clock is how far the clock of an engine, which stamps the starts and ends of containers,
// is ahead of ours. To ask for it takes Podman a second, since it asks its package manager
// each time, so that it is asked for once in a while.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	known time.Time // when it was asked for; zero: not yet
}

// trusted is how long a clock that was compared is believed to go on as ours does.
const trusted = 10 * time.Minute

// now is what the engine's clock says, or a little less: what happens afterwards is stamped
// with a later time.
func (e *engine) now(ctx context.Context) (time.Time, error) {
	c := &e.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.known)
	moved := time.Now().Round(0).Sub(c.known.Round(0)) - age // our own clock was set, or this computer slept
	if c.known.IsZero() || age > trusted || moved.Abs() > time.Second {
		before := time.Now()
		r, err := e.Info(ctx, client.InfoOptions{})
		if err != nil {
			return time.Time{}, e.trouble("ask for its time", err)
		}
		c.known = time.Now()
		c.ahead = ahead(before, c.known, moment(r.Info.SystemTime), strings.HasPrefix(e.host, "unix:"))
	}
	return time.Now().Add(c.ahead).UTC(), nil
}

// ahead is how far a clock is ahead of ours that has said its time between two of ours, at
// the least. One that is here and may be the same is taken for the same.
func ahead(before, after, said time.Time, here bool) time.Duration {
	if here && !said.Before(before) && !said.After(after) {
		return 0
	}
	return said.Sub(after)
}
