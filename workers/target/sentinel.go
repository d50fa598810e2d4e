package target

import "context"

// Sentinel is a Keeper that notices when something that it keeps has ended, so that it is
// brought back at once and not when Keep comes round again.
type Sentinel interface {
	Keeper
	// Fallen returns true once something has ended that was there when it was called. It is
	// false when nothing was there that it could notice, or ctx has ended.
	Fallen(ctx context.Context) bool
}
