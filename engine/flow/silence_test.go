package flow

import (
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers"
)

// Who cannot be replaced may be silent for long; others for longer the larger the run is.
func TestHowLongAWorkerMayBeSilent(t *testing.T) {
	for _, tc := range []struct {
		in   Input
		want time.Duration
	}{
		{Input{Stages: 5, Alone: true}, 30 * time.Second},
		{Input{}, workers.Heartbeat},
		{Input{Stages: 100_000}, workers.Heartbeat + 25*time.Second},
	} {
		if got := (&carrier{in: tc.in}).silence(); got != tc.want {
			t.Errorf("%d stages, alone %v: %v, want %v", tc.in.Stages, tc.in.Alone, got, tc.want)
		}
	}
}
