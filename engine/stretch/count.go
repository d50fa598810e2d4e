package stretch

import (
	"context"
	"maps"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
)

// counting listens to how far a batch has come, so that people see it while it goes on.
// It is told with the signs of life, and on no record: the numbers at its end are.
func (t thread) counting(ctx context.Context, task flow.Task) context.Context {
	if sub, ok := task.Work.(workers.Submission); !ok || sub.Batch == nil {
		return ctx
	}
	return workers.OnMetrics(ctx, 0, func(all []workers.Report) { t.s.counted(t, task.Progress, all[len(all)-1].Values) })
}

// counted notes the numbers of a stage that goes on.
func (s *stretch) counted(t thread, p *flow.StageProgress, numbers map[string]float64) {
	s.loom.mu.Lock()
	defer s.loom.mu.Unlock()
	if s.loom.ended || p.Status.Ended() {
		return
	}
	now := maps.Clone(p.Metrics) // whoever has the old one may be writing it down
	if now == nil {
		now = map[string]float64{}
	}
	maps.Copy(now, numbers)
	p.Metrics = now
	s.fresh.note(t.interpreter.Prefix()+p.Name, p)
}
