package stretch

import (
	"fmt"
	"time"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
)

// Route moves requests and looks at an endpoint, until that is done: a target that
// cannot be reached for a while says nothing about what is served there.
func (t thread) Route(q workers.Routing, p *flow.StageProgress) (got workers.Routed, err error) {
	why := p.Why
	t.s.loom.busy(func() {
		ctx := workers.Quiet(t.s.ctx, 1)
		pause := firstPause
		for try := 1; ; try++ {
			got, err = t.s.by.Activities.Route(ctx, q)
			if err == nil || ctx.Err() != nil || workers.Final(err) {
				return
			}
			t.s.note(t, p, fmt.Sprintf("trying again (%d times so far): %s", try, flow.Words(err)))
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	})
	p.Why = why
	return got, err
}
