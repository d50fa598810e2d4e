package workers_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// heard collects reports, and tells of each by a channel.
type heard struct {
	mu   sync.Mutex
	all  []string
	next chan workers.Report
}

func newHeard() *heard { return &heard{next: make(chan workers.Report, 100)} }

func (h *heard) add(reports []workers.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range reports {
		h.all = append(h.all, fmt.Sprint(r.Step, r.HasStep, r.Values, r.Offset))
		h.next <- r
	}
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.all)
}

func reporting(t *testing.T) (*workers.Activities, target.Driver) {
	t.Helper()
	d := local.Driver{Dir: t.TempDir()}
	store := &targettest.Blobs{}
	return &workers.Activities{
		Drivers: map[string]target.Driver{"local": d},
		Store:   func(string) (target.Blobs, error) { return store, nil },
	}, d
}

// What a job reports is heard while it runs, and the last line before its outcome is
// known, even without an end. Two may listen from different places.
func TestMetricsAreHeardWhileTheJobRuns(t *testing.T) {
	a, _ := reporting(t)
	gate := t.TempDir() + "/go"
	s := workers.Submission{Target: target.Target{Name: "here", Kind: "local"}, Job: target.Job{ID: "r.train.1", Script: `
echo '{"loss": 3, "step": 0, "by": "me"}' >>"$AMLFLOW_METRICS"
echo 'no metric' >>"$AMLFLOW_METRICS"
while ! test -e ` + gate + `; do sleep 0.02; done
echo '{"loss": NaN, "step": 1, "NaN: NaN": 2}' >>"$AMLFLOW_METRICS"
printf '{"loss": 1}' >>"$AMLFLOW_METRICS"`}}
	early, late := newHeard(), newHeard()
	ctx := workers.OnMetrics(workers.OnMetrics(t.Context(), 0, early.add), 35, late.add)
	done := make(chan workers.Outcome, 1)
	go func() {
		o, err := a.Try(ctx, workers.Run, s, 1)
		if err != nil {
			t.Error(err)
		}
		done <- o
	}()
	select {
	case <-early.next:
	case <-time.After(time.Minute):
		t.Fatal("nothing was heard while the job ran")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.State != target.Succeeded {
		t.Fatalf("got %+v", o)
	}
	const rest = "1 true map[NaN: NaN:2 loss:NaN] 85 0 false map[loss:1] 96]"
	if got, want := early.text(), "[0 true map[loss:3] 35 "+rest; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := late.text(), "["+rest; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Whoever goes on in another process hears what is left and nothing twice.
func TestMetricsGoOnBehindAnOffset(t *testing.T) {
	a, _ := reporting(t)
	s := workers.Submission{Target: target.Target{Name: "here", Kind: "local"}, Job: target.Job{ID: "r.train.1", Script: `
for i in 1 2 3 4 5; do echo "{\"loss\": $i}" >>"$AMLFLOW_METRICS"; done`}}
	all := newHeard()
	if _, err := a.Try(workers.OnMetrics(t.Context(), 0, all.add), workers.Run, s, 1); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		from := int64(0)
		for range n {
			from = (<-all.next).Offset
		}
		again := newHeard()
		if _, err := a.Try(workers.OnMetrics(t.Context(), from, again.add), workers.Run, s, 1); err != nil {
			t.Fatal(err)
		}
		if got := len(again.all); got != 5-n {
			t.Errorf("%d were heard from %d on, and %d are left", got, from, 5-n)
		}
		all = newHeard()
		if _, err := a.Try(workers.OnMetrics(t.Context(), 0, all.add), workers.Run, s, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// A line without an end takes no memory, and what comes behind it counts.
func TestLongLinesArePassedOver(t *testing.T) {
	a, _ := reporting(t)
	s := workers.Submission{Target: target.Target{Name: "here", Kind: "local"}, Job: target.Job{ID: "r.train.1", Script: `
head -c 200000 /dev/zero | tr '\0' x >>"$AMLFLOW_METRICS"
printf '\n{"loss": -Infinity}\n' >>"$AMLFLOW_METRICS"`}}
	h := newHeard()
	if _, err := a.Try(workers.OnMetrics(context.Background(), 0, h.add), workers.Run, s, 1); err != nil {
		t.Fatal(err)
	}
	if r := <-h.next; len(h.all) != 1 || !math.IsInf(r.Values["loss"], -1) || r.Offset != 200001+20 {
		t.Errorf("got %s", h.text())
	}
}
