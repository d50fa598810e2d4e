package ssh

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// pids answers with the process that answers.
const pids = `exec python3 -c '
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d" % os.getpid())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'
`

// ask returns the status and the answer of an endpoint.
func ask(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url + "/who")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func deploy(t *testing.T, d Driver, on target.Target, wish target.Deployment) string {
	t.Helper()
	if err := d.Deploy(t.Context(), on, wish, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r, err := d.Deployed(t.Context(), on, wish.ID)
		if err != nil {
			t.Fatal(err)
		}
		if r.State == target.Succeeded {
			return r.URL
		}
		if r.State.Ended() {
			t.Fatalf("the rollout: %+v", r)
		}
	}
	t.Fatal("the rollout never ended")
	return ""
}

// While nobody can reach the host, clients are told so, and the instance lives on: it is
// the same process that answers once the host is reached again.
func TestAnInstanceOutlivesTheConnection(t *testing.T) {
	r, dir := startServer(t), t.TempDir()
	p := startProxy(t, r)
	far := r.target(t, dir, map[string]any{"host": p.address()})
	d := driver(t).Serving(startGateways(t).Folder)
	t.Cleanup(func() {
		p.heal(unbounded)
		if err := d.Retire(context.Background(), far, "m"); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "jobs")); err != nil || len(left) > 0 {
			t.Errorf("of the instances there is left: %v, %v", left, err)
		}
	})
	url := deploy(t, d, far, target.Deployment{ID: "d1", Endpoint: "m", Script: pids, Health: "/", Path: "/", Ready: 60 * time.Second})
	status, pid := ask(t, url)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, pid)
	}
	p.cut()
	await(t, "clients to be told", func() bool {
		status, text := ask(t, url)
		return status == http.StatusServiceUnavailable && strings.Contains(text, "cannot be reached")
	})
	list, err := d.Endpoints(t.Context(), far)
	if err != nil || len(list) != 1 || list[0].State != target.Waiting || !strings.Contains(list[0].Reason, "cannot be reached") {
		t.Errorf("endpoints: %+v, %v", list, err)
	}
	p.heal(unbounded)
	await(t, "the instance to be back", func() bool { status, _ := ask(t, url); return status == http.StatusOK })
	if _, text := ask(t, url); text != pid {
		t.Errorf("before the cut process %s answered, and after it %s", pid, text)
	}
	if list, err := d.Endpoints(t.Context(), far); err != nil || list[0].Instances[0].Restarts != 0 {
		t.Errorf("endpoints: %+v, %v", list, err)
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Instances are spread over the hosts, and those that cannot be reached are passed by.
func TestSeats(t *testing.T) {
	r, dir := startServer(t), t.TempDir()
	a, b := startProxy(t, r), startProxy(t, r)
	on := r.target(t, dir, map[string]any{"host": nil, "hosts": []string{a.address(), b.address()}})
	d := driver(t)
	seat := func(n int) gateway.Seat {
		t.Helper()
		s, err := d.Seat(t.Context(), on, "d1", n)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := seat(0), seat(1)
	if string(first.Target.Settings) == string(second.Target.Settings) || first.Port < 1 || first.Host != "127.0.0.1" {
		t.Errorf("two instances are on %+v and %+v", first, second)
	}
	if third := seat(2); string(third.Target.Settings) != string(first.Target.Settings) {
		t.Errorf("the third of two hosts is %+v", third)
	}
	a.cut()
	first, second = seat(0), seat(1)
	if string(first.Target.Settings) != string(second.Target.Settings) {
		t.Errorf("with one host, two instances are on %+v and %+v", first, second)
	}
	b.cut()
	if _, err := d.Seat(t.Context(), on, "d1", 0); err == nil {
		t.Error("there is a seat on hosts that nobody can reach")
	}
}
