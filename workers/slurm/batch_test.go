package slurm

import (
	"github.com/amlflow/amlflow/workers/rigs"

	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/targettest"
)

func TestBatch(t *testing.T) {
	r := startSlurm(t, rigs.SlurmOptions{})
	targettest.Batch(t, func(t *testing.T) targettest.Harness {
		return targettest.Harness{Driver: New(), Target: r.target(t, t.TempDir(), nil), Shared: t.TempDir(), Patience: 90 * time.Second}
	})
}
