package stretch

import (
	"context"
	"time"

	"github.com/amlflow/amlflow/engine/flow"

	"go.temporal.io/sdk/activity"
)

// How often a stretch gives a sign of life, and the first one.
const (
	beatEvery = time.Second
	beatFirst = 50 * time.Millisecond
)

// maxChanges is how many stages a sign of life speaks of.
const maxChanges = 100

// changes are the stages of which something has happened since the last record, by
// their path.
type changes map[string]*flow.StageProgress

func (c changes) note(path string, p *flow.StageProgress) { c[path] = p }

// beat gives a sign of life, which tells what is not on record yet.
func (s *stretch) beat(ctx context.Context) {
	s.loom.mu.Lock()
	said := map[string]flow.StageProgress{}
	for path, p := range s.fresh {
		if len(said) >= maxChanges {
			break
		}
		if !p.Status.Ended() {
			said[path] = brief(p)
		}
	}
	s.loom.mu.Unlock()
	activity.RecordHeartbeat(ctx, flow.Heard{Stages: said})
}

// brief is a stage without what it shares with others and goes on changing.
func brief(p *flow.StageProgress) flow.StageProgress {
	b := *p
	b.Nested, b.Items = nil, nil
	if p.Rollout != nil {
		rollout := *p.Rollout
		b.Rollout = &rollout
	}
	if p.Count != nil {
		count := *p.Count
		b.Count = &count
	}
	if p.Sweep != nil {
		sweep := *p.Sweep
		b.Sweep = &sweep
	}
	if p.Trial != nil {
		trial := *p.Trial
		trial.Curve.Marks = nil
		b.Trial = &trial
	}
	return b
}

// alive gives signs of life until stop is called, while something goes on that may take
// long and of which there is nothing to tell: the states of very large runs are read and
// written for seconds.
func alive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		beat := time.NewTicker(beatEvery)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
				activity.RecordHeartbeat(ctx, flow.Heard{})
			}
		}
	}()
	return func() { cancel(); <-done }
}
