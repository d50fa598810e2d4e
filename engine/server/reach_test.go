package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/cluster"

	"go.temporal.io/sdk/client"
)

func TestAnEmbeddedTemporalThatDoesNotAnswerIsStartedAnew(t *testing.T) {
	started, stopped := 0, 0
	start := func() (temporal, error) {
		started++
		failed := make(chan error, 1)
		failed <- errors.New("a port was taken")
		return temporal{failed: failed, stop: func() { stopped++ }}, nil
	}
	unreachable := fmt.Errorf("%w: nothing answers", cluster.ErrUnreachable)
	_, err := reached(t.Context(), 3, start, func(cluster.Address) (client.Client, error) {
		if started < 3 {
			return nil, unreachable
		}
		return nil, nil
	})
	if err != nil || started != 3 || stopped != 2 {
		t.Errorf("started %d times and stopped %d: %v", started, stopped, err)
	}

	started, stopped = 0, 0
	_, err = reached(t.Context(), 2, start, func(cluster.Address) (client.Client, error) { return nil, unreachable })
	if started != 2 || stopped != 2 || !errors.Is(err, cluster.ErrUnreachable) || !strings.Contains(err.Error(), "a port was taken") {
		t.Errorf("one that never answers was started %d times and stopped %d: %v", started, stopped, err)
	}

	started = 0
	_, err = reached(t.Context(), 2, start, func(cluster.Address) (client.Client, error) { return nil, cluster.ErrUnauthorised })
	if started != 1 || err == nil {
		t.Errorf("one that refuses was started %d times: %v", started, err)
	}
}
