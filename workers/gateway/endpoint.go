package gateway

import (
	"context"
	"sync/atomic"
)

// endpoint is one name in this process. Only the loop of the gateway changes
// it; requests read live.
type endpoint struct {
	name string
	live atomic.Pointer[version]

	trial    *trial
	sweeping map[string]bool // deployments whose processes are being ended
}

// acquire returns the version that answers now, or nil. The caller must release
// it by inflight.Add(-1).
func (e *endpoint) acquire() *version {
	for {
		v := e.live.Load()
		if v == nil {
			return nil
		}
		v.inflight.Add(1)
		if e.live.Load() == v {
			return v // drain sees us from now on
		}
		v.inflight.Add(-1)
	}
}

// converge brings the endpoint nearer to what is on disk. It is called again
// after each change and does only what takes no time; the rest runs beside.
func (g *gateway) converge(ctx context.Context, e *endpoint) error {
	// Whoever made the last wish may have died before this.
	err := g.locked(ctx, wishesLock, func() error { return supersede(g.endpoint(e.name)) })
	if err != nil {
		return err
	}
	if err := g.judge(ctx, e); err != nil {
		return err
	}
	h, err := readHistory(g.endpoint(e.name))
	if err != nil {
		return err
	}
	live := h.live()
	g.adopt(ctx, e, live)
	g.follow(ctx, e, h.coming())
	for _, d := range h {
		over := d.end != nil && !d.swept && (live == nil || d.ID != live.ID)
		if over || d.retired {
			g.sweep(ctx, e, d, nil)
		}
	}
	return g.prune(h)
}

// adopt makes the live deployment of the records the one that answers here. It
// differs when a gateway has died, or when the endpoint was retired.
func (g *gateway) adopt(ctx context.Context, e *endpoint, d *deployment) {
	v := e.live.Load()
	switch {
	case d == nil && v != nil:
		g.dismiss(ctx, e, e.live.Swap(nil))
	case d != nil && (v == nil || v.ID != d.ID):
		v = newVersion(*d, &g.ports, g.log)
		v.keep(ctx)
		g.dismiss(ctx, e, e.live.Swap(v))
	}
}
