package target

import "context"

// Restless is a Keeper that must go on at times though no run is open: what it keeps costs
// something, and would stay if nobody came by. As long as Rests is false the background
// server stays, and calls Keep.
type Restless interface {
	Keeper
	// Rests reports whether nothing is left to do for Keep, but for what may happen to
	// anything at any time. It looks at nothing that is not on this computer.
	Rests(ctx context.Context) (bool, error)
}
