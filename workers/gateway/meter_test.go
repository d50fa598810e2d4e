package gateway

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreAtMostThreePercentTooLarge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []float64
	h := map[int]int64{}
	for range 20_000 {
		ms := math.Exp(random.NormFloat64()*2 + 2)
		all = append(all, ms)
		h[bucketOf(time.Duration(ms*float64(time.Millisecond)))]++
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		exact := all[int(math.Ceil(q*float64(len(all))))-1]
		if got := quantile(h, q); got < exact*(1-1e-6) || got > exact*1.03+1e-6 {
			t.Errorf("quantile %v: got %v, and it is %v", q, got, exact)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if b := bucketOf(24 * time.Hour); b != buckets-1 {
		t.Errorf("a day is in bucket %d", b)
	}
}

func TestFiguresOutliveTheirMeter(t *testing.T) {
	dir := t.TempDir()
	begin := time.Now().Add(-time.Second)
	for life := range 3 {
		m := newMeter(dir)
		for n := range 10 {
			m.answered(time.Duration(n)*time.Millisecond, n == 0)
		}
		m.rejected()
		m.compared(true)
		m.compared(false)
		m.reported(map[string]amount{"confidence": {Sum: 1.5, Count: 2}})
		if err := m.flush(); err != nil {
			t.Fatal(err)
		}
		if life == 1 { // killed while it wrote
			torn(t, m)
		}
		m.answered(time.Second, true) // lost with it
	}
	spans, err := readSpans(newMeter(dir).path())
	if err != nil {
		t.Fatal(err)
	}
	f := figures(spans, begin)
	if f.Requests != 30 || f.Errors != 3 || f.Rejected != 3 || f.Compared != 6 || f.Agreed != 3 || f.Reported["confidence"] != 0.75 {
		t.Errorf("got %+v", f)
	}
	if f.P50 < 4 || f.P50 > 4.2 || f.P99 < 9 || f.P99 > 9.3 || !f.From.Equal(begin) {
		t.Errorf("got %+v", f)
	}
}

func torn(t *testing.T, m *meter) {
	t.Helper()
	f, err := os.OpenFile(m.path(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"f":1,"u":2,"n":1000`); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// What is long ago is remembered in fewer pieces, and nothing of it is lost.
func TestOldFiguresAreThinned(t *testing.T) {
	now := time.Now()
	var spans []span
	for at := now.Add(-50 * time.Hour); at.Before(now); at = at.Add(500 * time.Millisecond) {
		spans = append(spans, span{From: at.UnixMilli(), Until: at.UnixMilli() + 200, Requests: 1, Took: map[int]int64{100: 1}})
	}
	thin := thinned(thinned(spans, now), now)
	if len(thin) > 2500 {
		t.Errorf("%d spans are left of %d", len(thin), len(spans))
	}
	for _, since := range []time.Duration{time.Minute, 10 * time.Minute, 10 * time.Hour, 48 * time.Hour} {
		f := figures(thin, now.Add(-since))
		exact := since.Seconds() * 2
		if off := float64(f.Requests)/exact - 1; off < -0.001 || off > 0.05 {
			t.Errorf("since %v: %d requests, and there were %v", since, f.Requests, exact)
		}
	}
	gone := []span{{From: 1, Until: now.Add(-remembered - time.Hour).UnixMilli(), Requests: 1}}
	if got := thinned(gone, now); len(got) != 0 {
		t.Errorf("after %v it is remembered: %+v", remembered, got)
	}
}
