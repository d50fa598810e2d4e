package gateway

import (
	"context"
	"fmt"

	"github.com/amlflow/amlflow/workers/target"
)

// Changes lists what was decided about an endpoint. See target.Router.
func (f Folder) Changes(_ context.Context, name string) ([]target.Change, error) {
	if !validName(name) {
		return nil, nil
	}
	r, err := f.readRouting(name)
	if err != nil {
		return nil, fmt.Errorf("read the history of endpoint %q: %w", name, err)
	}
	return r.Changes, nil
}

// remember puts on record which deployments have become ready. It follows from their
// own records, so a gateway that died before has lost nothing.
func (g *gateway) remember(ctx context.Context, e *endpoint, h history) error {
	last := h.last(func(d deployment) bool { return d.end != nil && d.end.State == target.Succeeded })
	if last == nil || last.Seq <= e.noted {
		return nil
	}
	return g.locked(ctx, wishesLock, func() error {
		r, err := g.readRouting(e.name)
		if err == nil && r.remember(h) {
			err = g.writeRouting(e.name, &r)
		}
		if err == nil {
			e.noted = last.Seq
		}
		return err
	})
}
