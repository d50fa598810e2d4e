package target

import (
	"context"
	"time"
)

// Manager is a driver whose targets amlflow creates and resizes. See Can.Manage. The law
// of Driver holds for every method.
type Manager interface {
	Driver
	// Resize asks for so many nodes and returns at once; Nodes tells how far it has come.
	// More nodes than its settings allow, or fewer, are a permanent error. A node with a
	// job stays until the job has ended. Afterwards the target grows and shrinks by
	// itself, as it did before.
	Resize(ctx context.Context, t Target, nodes int) error
	// Nodes tells how the nodes of t are, and does what is due.
	Nodes(ctx context.Context, t Target) (Fleet, error)
}

// Fleet is how the nodes of a target are, those that are on their way in or out included.
type Fleet struct {
	Min      int `json:"min"`
	Max      int `json:"max"`
	Creating int `json:"creating"` // asked for, and not there yet
	Ready    int `json:"ready"`    // there, with a job or without
	Busy     int `json:"busy"`     // of those that are ready: with a job
	Leaving  int `json:"leaving"`
	// GPUs is how many the nodes have that are ready, and GPUsTaken of these how many have a
	// job, or are on a node that a job has for itself.
	GPUs      int `json:"gpus,omitempty"`
	GPUsTaken int `json:"gpus_taken,omitempty"`
	Queued    int `json:"queued"` // jobs that wait for nodes
	// NodeHours is for how long nodes have existed, all of them together, in hours: each
	// from when it was asked for until it was gone.
	NodeHours float64 `json:"node_hours"`
	Grew      Resized `json:"grew,omitzero"`
	Shrank    Resized `json:"shrank,omitzero"`
	Trouble   string  `json:"trouble,omitempty"` // for people: what keeps it from what it should do
	// Runs are those of which each has as many nodes for itself; none: all runs share them.
	Runs   []string `json:"runs,omitempty"`
	Coming string   `json:"coming,omitempty"` // for people: what nodes that are on their way wait for
}

// Resized is the last time that a target grew, or that it shrank.
type Resized struct {
	At    time.Time `json:"at"`
	Nodes int       `json:"nodes"` // by how many
	Why   string    `json:"why"`   // for people
}
