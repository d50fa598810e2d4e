package workers

import (
	"context"

	"github.com/amlflow/amlflow/workers/target"
)

// Swept is a store from which content goes that was not used for long. Whoever takes
// content by a name that was written down long ago marks it first.
type Swept interface {
	// Use marks content as used now; an error says that some of it is not there.
	Use(ctx context.Context, ref target.Ref) error
	// UseRecord marks a record as used now.
	UseRecord(ctx context.Context, name string) error
}

// take marks the results of an earlier job as used now, and reports whether the
// content of ref is there.
func take(ctx context.Context, blobs target.Blobs, ref target.Ref) bool {
	if s, ok := blobs.(Swept); ok {
		return s.Use(ctx, ref) == nil
	}
	return there(ctx, blobs, ref)
}

// takeRest marks what a reused outcome can do without: the log, and the record.
func takeRest(ctx context.Context, blobs target.Blobs, record string, o Outcome) {
	s, ok := blobs.(Swept)
	if !ok {
		return
	}
	_ = s.UseRecord(ctx, record)
	for _, log := range []target.Ref{o.Log, o.Logs, o.History, o.Tracked} {
		if log != "" {
			_ = s.Use(ctx, log)
		}
	}
}
