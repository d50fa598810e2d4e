package local

import (
	"context"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// F16: a cancel at any moment of a submission of two ranks ends in a legal
// state that stays, and nothing starts afterwards.
func TestCancelWhileSubmitting(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	here := local(`{"nodes": 2}`)
	for range 15 {
		d := driver(t)
		job := target.Job{ID: "job", Script: "echo x >>" + d.Dir + "/starts$RANK; sleep 300", Host: host(), Needs: target.Resources{Nodes: 2}, Grace: time.Second}
		submit := func() {
			if err := d.Submit(context.Background(), here, job, &targettest.Blobs{}); err != nil {
				t.Error(err)
			}
		}
		pause := time.Duration(r.Intn(8000)) * time.Microsecond
		var all sync.WaitGroup
		all.Go(submit)
		all.Go(submit)
		all.Go(func() {
			time.Sleep(pause)
			if err := d.Cancel(context.Background(), here, "job", target.CauseCancel); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		st := wait(t, d)
		before := starts(d, 0) + 10*starts(d, 1)
		submit()
		if again := wait(t, d); st.State != target.Cancelled || again.State != st.State || starts(d, 0)+10*starts(d, 1) != before || before > 11 {
			t.Errorf("after %v: %+v, then %+v, starts %d", pause, st, again, before)
		}
	}
}

// A timeout stops all ranks and is told apart from a rank that failed.
func TestTimeoutOfTwoRanks(t *testing.T) {
	d := driver(t)
	job := target.Job{ID: "job", Script: "sleep 300", Host: host(), Needs: target.Resources{Nodes: 2}, Timeout: 200 * time.Millisecond, Grace: time.Second}
	if err := d.Submit(t.Context(), local(`{"nodes": 2}`), job, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, d); st.State != target.Failed || st.Cause != target.CauseTimeout {
		t.Errorf("got %+v", st)
	}
}
