//go:build slim

package cluster

import (
	"context"
	"fmt"
)

// Available tells whether this binary carries the embedded server.
const Available = false

// Embedded is never had in this build.
type Embedded struct{}

// Start refuses, and says what to do.
func Start(context.Context, Options) (*Embedded, error) {
	return nil, fmt.Errorf("%w: name a Temporal server in engine.address (or --address), or use the full binary", ErrSlim)
}

// Address is that of no server.
func (*Embedded) Address() Address { return Address{} }

// Failed never yields.
func (*Embedded) Failed() <-chan error { return nil }

// Stop does nothing.
func (*Embedded) Stop() {}
