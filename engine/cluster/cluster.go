// Package cluster is a Temporal to talk to: an external one by its Address, or one embedded in this process on a SQLite file.
//
// Both are reached in the same way. [Dial] connects to an Address, and [Embedded.Address] is one like any other: written to a
// file that only its owner can read, it lets another process of the same user in.
package cluster

import (
	"errors"
	"log/slog"
)

// DefaultNamespace is the Temporal namespace that an Address or Options without one means. It is Temporal's own default.
const DefaultNamespace = "default"

// Errors of Start that a caller may want to tell apart with errors.Is; the text around them says what to do.
var (
	// ErrBusy says that another process runs the embedded server of this folder; see BusyError for its process id.
	ErrBusy = errors.New("the engine's state folder is in use")
	// ErrOtherVersion says that another version of the server wrote the folder's database.
	ErrOtherVersion = errors.New("the engine's database was made by another server version")
	// ErrDatabase says that the database cannot be read or written: damaged, not permitted, or the disk is full.
	ErrDatabase = errors.New("the engine's database cannot be used")
	// ErrSlim says that this binary was built without the embedded server.
	ErrSlim = errors.New("this is the slim build of amlflow, which has no embedded engine")
)

// Options say how to start an embedded server.
type Options struct {
	// Dir is the state folder; it holds the database and the lock. It is created, readable by its owner only, when it is missing.
	Dir string
	// Namespace is the Temporal namespace to serve; empty means DefaultNamespace.
	Namespace string
	// Logger receives what the server itself has to say, warnings and worse only. Nil discards it.
	Logger *slog.Logger
	// Shards is the number of history shards of a new database; zero means one. A database keeps the number it was made with.
	Shards int
	// Durable makes every commit wait for the disk, so that even a power cut loses nothing acknowledged. Without it a killed
	// process loses nothing, and a power cut may take back the last moments, never leaving the file damaged.
	Durable bool
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
