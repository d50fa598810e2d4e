package target

import (
	"context"
	"time"
)

// Sweeper is a driver whose targets keep things after the runs that they were made
// for: the folders of jobs that failed, software that several jobs use. It says what
// it keeps, the engine says what nobody needs. A target that serves several state folders
// tells each of its own things only. The law of Driver holds for every method.
type Sweeper interface {
	Driver
	// Kept lists what t keeps. Without a name, t stands for every target of its
	// kind that the driver can see by itself.
	Kept(ctx context.Context, t Target) ([]Kept, error)
	// Sweep removes k, and reports whether it did: what is in use, or was used
	// since before, stays. What has gone already is not there any more, and that is
	// no error. A job that was swept is Lost, like one that was cleaned.
	Sweep(ctx context.Context, t Target, k Kept, before time.Time) (bool, error)
}

// Kept is one thing that a target keeps.
type Kept struct {
	What  What      `json:"what"`
	Name  string    `json:"name"`  // of a job and a mark, the job's id
	Bytes int64     `json:"bytes"` // what it takes of the target's disk, roughly
	Used  time.Time `json:"used"`  // when it was last used, as far as the target knows
	Users []string  `json:"users,omitempty"`
}

// What is a kind of thing that a target keeps.
type What string

// What targets keep.
const (
	KeptJob         What = "job"         // what a job left, also its log
	KeptMark        What = "mark"        // that a job was cleaned, and must not start again
	KeptEnvironment What = "environment" // software; Users are the jobs and deployments that use it
	KeptContent     What = "content"     // a copy of an artifact, which is sent again when a job needs it
)
