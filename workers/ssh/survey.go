package ssh

import (
	"context"
	"errors"
	"sync"

	"github.com/amlflow/amlflow/workers/target"
)

var _ target.Surveyor = Driver{}

// Survey implements target.Surveyor. A host that does not answer is an error, and the others
// are told all the same.
func (d Driver) Survey(ctx context.Context, t target.Target) ([]target.Machine, error) {
	hosts, err := d.hosts(t)
	if err != nil {
		return nil, err
	}
	seen, errs := make([]target.Machine, len(hosts)), make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			_, err := h.Facts(ctx)
			if err == nil {
				seen[i], err = h.Machine.Survey(ctx)
			}
			if seen[i].Name = h.name; err != nil {
				errs[i] = h.blame(err)
			}
		})
	}
	all.Wait()
	var there []target.Machine
	for i, m := range seen {
		if errs[i] == nil {
			there = append(there, m)
		}
	}
	return there, errors.Join(errs...)
}
