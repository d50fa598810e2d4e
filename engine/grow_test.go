package engine_test

import (
	"slices"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// After running out of memory a stage asks for more, and after other causes it does not.
func TestMemoryGrows(t *testing.T) {
	c, d := inside(t)
	p := ran(t, c, "grows", `amlflow: v1
pipeline: p
stages:
  grows: { run: oom, resources: { memory: 1Gi }, retry: { attempts: 3, backoff: 1ms, grow_memory: 1.5 } }
  stays: { run: fail 1, resources: { memory: 1Gi }, retry: { attempts: 2, backoff: 1ms, grow_memory: 1.5 } }
`)
	if p.Status != target.Failed {
		t.Fatalf("the run %s", p.Status)
	}
	asked := map[string]int64{}
	for _, j := range d.Jobs() {
		asked[j.ID] = j.Needs.Memory
	}
	const gi = 1 << 30
	got := []int64{asked["grows.grows.1"], asked["grows.grows.2"], asked["grows.grows.3"], asked["grows.stays.1"], asked["grows.stays.2"]}
	if want := []int64{gi, gi * 3 / 2, gi * 9 / 4, gi, gi}; !slices.Equal(got, want) {
		t.Errorf("it asked for %d, want %d", got, want)
	}
}
