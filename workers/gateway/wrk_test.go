package gateway

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// A load generator that others wrote sees no error while everything happens that may
// happen to an endpoint: splits, a switch and the way back, an instance that is killed,
// a new deployment; and the figures tell of as many requests as it has sent.
func TestWrkSeesNoError(t *testing.T) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		t.Skip("SKIP: no load generator: apt-get install -y wrk")
	}
	p := newPlace(t)
	one := p.quick("d1", "1")
	one.Instances = 2
	url := p.live(one)
	two := p.quick("d2", "2")
	two.Held, two.Instances = true, 2
	p.ready(two)

	lua := filepath.Join(t.TempDir(), "post.lua")
	if err := os.WriteFile(lua, []byte("wrk.method = 'POST'\nwrk.body = '{\"x\": 1}'\nwrk.headers['Content-Type'] = 'application/json'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const connections = 8
	c := exec.CommandContext(t.Context(), wrk, "-t1", "-c"+strconv.Itoa(connections), "-d4s", "--latency", "-s", lua, url)
	done := make(chan string)
	go func() {
		out, err := c.CombinedOutput()
		done <- fmt.Sprint(string(out), " ", err)
	}()
	p.figures("d1", func(f target.Figures) bool { return f.Requests > 0 })
	out := ""
	for n := 0; out == ""; n++ {
		p.disturb(n)
		select {
		case out = <-done:
		default:
		}
	}
	t.Log(out)
	if wrong := regexp.MustCompile(`Socket errors.*|Non-2xx.*|exit status.*`).FindString(out); wrong != "" {
		t.Error(wrong)
	}
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
	if m == nil {
		t.Fatal("wrk tells of no requests")
	}
	sent, _ := strconv.ParseInt(m[1], 10, 64)
	var f [2]target.Figures
	p.await("the figures to add up", func() bool {
		for n, id := range []string{"d1", "d2"} {
			if f[n], err = p.Measured(t.Context(), "web", "m", id, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		return f[0].Requests+f[1].Requests >= sent
	})
	// When wrk ends it has requests under way, which it does not count.
	if sum := f[0].Requests + f[1].Requests; sum > sent+connections || min(f[0].Requests, f[1].Requests) == 0 {
		t.Errorf("wrk had %d answers, and the figures tell of %d and %d", sent, f[0].Requests, f[1].Requests)
	}
}

// disturb does the nth of the things that no client is to notice.
func (p *place) disturb(n int) {
	p.Helper()
	both := []string{"d1", "d2"}
	share := func(one, two float64) {
		p.split(target.Split{ID: fmt.Sprintf("s%d", n), Keep: both, Shares: []target.Share{{Deployment: "d1", Weight: one}, {Deployment: "d2", Weight: two}}})
	}
	switch n % 5 {
	case 0:
		share(90, 10)
	case 1:
		share(0, 1)
	case 2:
		share(1, 0)
	case 3:
		share(1, 1)
	case 4:
		if i := p.only().Instances[0]; n < 50 && i.State == target.Running {
			// Not through the gateway, which would count it.
			if r, err := ask(http.DefaultClient, "http://"+i.Address+"/score", "0"); err == nil {
				_ = syscall.Kill(r.PID, syscall.SIGKILL)
			}
		}
	}
}
