package target

import (
	"context"
	"fmt"
)

// Evictor is a driver that can take the machine away from one rank of a job, which is how
// machines go that are lent cheaply: one at a time. It is there for rehearsals. The law of
// Driver holds for it.
type Evictor interface {
	Driver
	// Evict asks one rank of a job to end, as Cancel with CausePreempted asks all of them.
	// The others end because of it, and the job has failed: CausePreempted, with that Rank.
	// A rank that the job does not have is a permanent error; see NoSuchRank. Of a job that
	// has ended nothing changes.
	Evict(ctx context.Context, t Target, id string, rank int) error
}

// NoSuchRank is the error of Evict for a job of so many ranks, or none.
func NoSuchRank(id string, ranks, rank int) error {
	switch {
	case rank >= 0 && rank < ranks:
		return nil
	case ranks == 1:
		return fmt.Errorf("job %q has one rank, 0, and none of the number %d: %w", id, rank, ErrPermanent)
	}
	return fmt.Errorf("job %q has the ranks 0 to %d, and none of the number %d: %w", id, ranks-1, rank, ErrPermanent)
}
