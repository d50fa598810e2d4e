package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
)

// endpoint is one name in this process. Only the loop of the gateway changes
// it; requests read the table.
type endpoint struct {
	name  string
	table atomic.Pointer[table]

	versions map[string]*version // all that answer, or are ready to
	trial    *trial
	sweeping map[string]bool // deployments whose processes are being ended
	rev      int64           // of the routing that the table follows
	noted    int             // the number of the last deployment that the history tells of
}

func newEndpoint(name string) *endpoint {
	return &endpoint{name: name, versions: map[string]*version{}, sweeping: map[string]bool{}, rev: -1}
}

func (e *endpoint) idle() bool {
	return len(e.versions) == 0 && e.trial == nil && len(e.sweeping) == 0
}

// acquire returns the version that is to answer the request, or nil, and the table
// that says so. The caller must release it by inflight.Add(-1).
func (e *endpoint) acquire(r *http.Request) (*version, *table) {
	for {
		t := e.table.Load()
		v := t.choose(sticky(t, r))
		if v == nil {
			return nil, t
		}
		v.inflight.Add(1)
		if e.table.Load() == t {
			return v, t // drain sees us from now on
		}
		v.inflight.Add(-1)
	}
}

func sticky(t *table, r *http.Request) string {
	if name := t.stickyHeader(); name != "" {
		return r.Header.Get(name)
	}
	return ""
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
	h, r, err := g.records(e.name)
	if err != nil {
		return err
	}
	p := h.roles(r)
	if err := g.adopt(ctx, e, h, p, r); err != nil {
		return err
	}
	if err := g.follow(ctx, e, h.coming()); err != nil {
		return err
	}
	for _, d := range h {
		if d.retired || d.end != nil && !d.swept && !p.alive[d.ID] {
			g.sweep(ctx, e, d, nil)
		}
	}
	return g.prune(h)
}

// adopt makes the roles on record those of this process. They differ when somebody
// has decided something, or when a gateway has died.
func (g *gateway) adopt(ctx context.Context, e *endpoint, h history, p roles, r routing) error {
	for id := range p.alive {
		if e.versions[id] == nil {
			v, err := g.version(*h.find(id))
			if err != nil {
				return err
			}
			g.keep(ctx, v)
			e.versions[id] = v
		}
	}
	k, err := g.readKeys(e.name)
	if err = ignoreMissing(err); err != nil {
		return err
	}
	if next := newTable(p, e.versions, k); e.table.Load() == nil || next.form != e.table.Load().form {
		e.table.Store(next)
		g.log.Info("the requests are shared", "endpoint", e.name, "between", next)
	}
	for id, v := range e.versions {
		v.answers.Store(p.weight(id) > 0 || p.mirror != nil && p.mirror.ID == id)
		if !p.alive[id] && (e.trial == nil || e.trial.version != v) {
			delete(e.versions, id)
			g.sweep(ctx, e, v.deployment, v)
		}
	}
	if e.rev != r.Rev && r.Rev > 0 {
		if err := writeQuick(g.path(routingDir), e.name+appliedEnd, applied{Rev: r.Rev}); err != nil {
			return err
		}
		e.rev = r.Rev
	}
	return g.remember(ctx, e, h)
}
