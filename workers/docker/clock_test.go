package docker

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// An engine whose clock is an hour ahead is asked once for what it says.
func TestTheClockOfAnEngineIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasSuffix(q.URL.Path, "/info") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		asked.Add(1)
		_, _ = io.WriteString(w, fmt.Sprintf(`{"SystemTime": %q}`, time.Now().Add(time.Hour).Format(time.RFC3339Nano)))
	}))
	defer far.Close()
	e, err := open(address{Host: "tcp://" + far.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for range 3 {
		before := time.Now()
		now, err := e.now(t.Context())
		if err != nil || now.Before(last) || now.After(time.Now().Add(time.Hour)) || now.Before(before.Add(time.Hour-time.Minute)) {
			t.Errorf("it is said to be %v there, %v", now, err)
		}
		last = now
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// A time that lay between two of ours may be ours; another is believed to be no later than it
// was said, so that what is asked for at that time comes before its end.
func TestHowFarAClockIsAhead(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	for _, c := range []struct {
		said int
		here bool
		want time.Duration
	}{{1, true, 0}, {1, false, -time.Second}, {5, true, 3 * time.Second}, {-4, true, -6 * time.Second}} {
		if got := ahead(at(0), at(2), at(c.said), c.here); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
