package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Measured tells how a version has answered since a moment. See target.Router.
func (f Folder) Measured(ctx context.Context, on, endpoint, id string, since time.Time) (target.Figures, error) {
	if err := f.ensure(ctx); err != nil {
		return target.Figures{}, err
	}
	d, ok, err := f.find(id)
	if err != nil {
		return target.Figures{}, fmt.Errorf("look at deployment %q: %w", id, err)
	}
	if !ok || d.retired || d.Endpoint != endpoint || d.Target != on {
		return target.Figures{}, fmt.Errorf("there are no figures of deployment %q of endpoint %q on target %q: %w", id, endpoint, on, target.ErrPermanent)
	}
	spans, err := readSpans(newMeter(d.dir).path())
	if err != nil {
		return target.Figures{}, fmt.Errorf("read the figures of deployment %q: %w", id, err)
	}
	from := d.At
	if since.After(from) {
		from = since
	}
	if oldest := time.Now().Add(-remembered); oldest.After(from) {
		from = oldest
	}
	return figures(spans, from), nil
}

// figures sums up what happened since a moment. A span that began before it is taken
// whole.
func figures(spans []span, from time.Time) target.Figures {
	var all span
	for _, s := range spans {
		if s.Until >= from.UnixMilli() {
			all.add(s)
			if begin := time.UnixMilli(s.From); begin.Before(from) {
				from = begin
			}
		}
	}
	f := target.Figures{
		From: from, Requests: all.Requests, Errors: all.Errors, Rejected: all.Rejected,
		Compared: all.Compared, Agreed: all.Agreed,
		P50: quantile(all.Took, 0.5), P95: quantile(all.Took, 0.95), P99: quantile(all.Took, 0.99),
	}
	for name, a := range all.Reported {
		if f.Reported == nil {
			f.Reported = map[string]float64{}
		}
		f.Reported[name] = a.Sum / float64(a.Count)
	}
	return f
}
