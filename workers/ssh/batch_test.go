package ssh

import (
	"testing"

	"github.com/amlflow/amlflow/workers/targettest"
)

func TestBatch(t *testing.T) {
	p := startPair(t)
	targettest.Batch(t, func(t *testing.T) targettest.Harness {
		return targettest.Harness{Driver: driver(t), Target: p.target(t, t.TempDir()), Shared: t.TempDir()}
	})
}
