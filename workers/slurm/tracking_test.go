package slurm

import (
	"github.com/amlflow/amlflow/workers/rigs"

	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/targettest"
)

func TestTracking(t *testing.T) {
	r := startSlurm(t, rigs.SlurmOptions{})
	targettest.Tracking(t, targettest.Harness{Driver: New(), Target: r.target(t, t.TempDir(), nil), Shared: t.TempDir(), Patience: 90 * time.Second})
}
