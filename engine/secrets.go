package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/mask"
	"github.com/amlflow/amlflow/workers/secrets"
)

// GatherSecrets takes what a run needs of the variables of the command that starts
// it, and sees that all of its secrets can be had.
func GatherSecrets(home string, refs []workers.Secret, lookup func(string) (string, bool)) (*secrets.Envelope, error) {
	return secrets.Gather(home, references(refs), lookup)
}

func references(all []workers.Secret) []secrets.Ref {
	refs := make([]secrets.Ref, len(all))
	for i, s := range all {
		refs[i] = secrets.Ref(s)
	}
	return refs
}

// resolve fetches the values of the secrets of a job, by variable.
func resolve(ctx context.Context, home, job string, refs []workers.Secret) (map[string]string, error) {
	run, _, _ := strings.Cut(job, ".")
	return secrets.Resolve(ctx, home, run, references(refs))
}

// masker hides the secrets of a stage in what its job writes. It is made once for
// each job, also because a file may have another secret in it later.
func (e *Engine) masker(ctx context.Context, s *flow.StageProgress) (*mask.Masker, error) {
	if len(s.Secrets) == 0 {
		return nil, nil
	}
	if m, ok := e.masks.Load(s.Job); ok {
		return m.(*mask.Masker), nil
	}
	values, err := resolve(ctx, e.o.Home, s.Job, s.Secrets)
	if err != nil {
		return nil, fmt.Errorf("it is not shown, because it cannot be masked: %w", err)
	}
	m := mask.New(slices.Collect(maps.Values(values)))
	e.masks.Store(s.Job, m)
	return m, nil
}

// abandoned is how long an envelope may wait for its run to be begun.
const abandoned = 10 * time.Minute

// sweep removes envelopes that no run needs any more: those of runs that were
// ended from outside, or never began.
func (e *Engine) sweep(ctx context.Context) {
	sealed, _ := secrets.Sealed(e.o.Home) // what cannot be listed is listed the next time
	alone := e.alone()
	for _, run := range slices.Sorted(maps.Keys(sealed)) {
		state, err := e.state(ctx, run)
		switch {
		case errors.Is(err, cluster.ErrUnreachable):
			return
		case err == nil && state.Ended(), alone && errors.Is(err, ErrNotFound) && time.Since(sealed[run]) > abandoned:
			_ = secrets.Forget(e.o.Home, run)
		}
	}
}

// alone reports whether the state folder has no other engine, which may have the runs
// that this one does not know.
func (e *Engine) alone() bool {
	seats, err := server.Seats(e.o.Home)
	return err == nil && len(seats) <= 1
}
