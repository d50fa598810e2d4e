package slurm

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// BenchmarkAFanOut tells how long many items take to be in the queue of a real cluster, and
// how many jobs of Slurm they are.
func BenchmarkAFanOut(b *testing.B) {
	const items = 200
	r := startSlurm(b, rigs.SlurmOptions{})
	for range b.N {
		w := r.ward(b, nil)
		begin := time.Now()
		var all sync.WaitGroup
		for i := range items {
			all.Go(func() {
				j := target.Job{ID: fmt.Sprintf("run.fan.%d-1", i+1), Script: "true", Grace: time.Second}
				if err := w.Submit(b.Context(), w.t, j, &targettest.Blobs{}); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-queue")
		for i := range items {
			id := fmt.Sprintf("run.fan.%d-1", i+1)
			for st := w.status(b, id); !st.State.Ended(); st = w.status(b, id) {
				time.Sleep(20 * time.Millisecond)
			}
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-end")
	}
}
