package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/amlflow/amlflow/workers/target"
)

// ErrNoEndpoint says that nothing is served under a name.
var ErrNoEndpoint = errors.New("no such endpoint")

// Served is an endpoint and the way to its target.
type Served struct {
	target.Endpoint
	Server target.Server `json:"-"`
	Place  target.Target `json:"-"`
	Key    string        `json:"-"` // that it asks for; empty: it asks for none
}

// Endpoints lists what is served on the given targets, sorted by name. It needs
// no engine: endpoints live on their targets. Targets that cannot be asked are
// reported in the error, beside what the others said.
func Endpoints(ctx context.Context, drivers map[string]target.Driver, targets []target.Target) ([]Served, error) {
	var out []Served
	var errs []error
	seen := map[string]bool{}
	for _, t := range targets {
		s, ok := drivers[t.Kind].(target.Server)
		if !ok {
			continue
		}
		es, err := s.Endpoints(ctx, t)
		if err != nil {
			errs = append(errs, fmt.Errorf("ask target %q for its endpoints: %w", t.Name, err))
		}
		for _, e := range es {
			if key := e.URL + " " + e.Name; !seen[key] { // two names of one place
				seen[key] = true
				place := t
				place.Name = e.Target
				out = append(out, Served{Endpoint: e, Server: s, Place: place})
			}
		}
	}
	slices.SortFunc(out, func(a, b Served) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Target, b.Target)) })
	return out, errors.Join(errs...)
}

// FindEndpoint returns the endpoint with this name.
func FindEndpoint(ctx context.Context, drivers map[string]target.Driver, targets []target.Target, name string) (Served, error) {
	all, err := Endpoints(ctx, drivers, targets)
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	if err != nil {
		return Served{}, err
	}
	return Served{}, fmt.Errorf("%w: %q; `amlflow endpoint ls` lists them", ErrNoEndpoint, name)
}
