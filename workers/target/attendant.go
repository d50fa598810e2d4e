package target

import "context"

// Attendant is a Keeper that keeps things for single runs, which are to go when these have
// ended. Drivers know no runs; the background server tells, every few seconds, and stays
// until nothing is left.
type Attendant interface {
	Keeper
	// Attends lists the runs for which something is kept.
	Attends(ctx context.Context) ([]string, error)
	// Leave removes what is kept for a run, as far as that is possible now. ended tells that
	// the run has ended; otherwise nobody knows of it any more, and what is alive stays.
	Leave(ctx context.Context, run string, ended bool) error
}
