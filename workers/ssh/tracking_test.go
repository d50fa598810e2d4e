package ssh

import (
	"testing"

	"github.com/amlflow/amlflow/workers/targettest"
)

func TestTracking(t *testing.T) {
	r := startServer(t)
	targettest.Tracking(t, targettest.Harness{Driver: driver(t), Target: r.target(t, t.TempDir(), nil), Shared: t.TempDir()})
}
