package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// F30: a deployment dies half way. Whatever is killed, and whenever, the version that
// answered goes on, and the same deployment, done once more, converges: one version is
// active, and nothing is left of the others.
func TestDeploymentDiesHalfWay(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.write("serve.yaml", "amlflow: v1\npipeline: serve\nstages:\n  serve:\n    deploy: { endpoint: m, score: score.py, sample: sample.json, instances: 2 }\n")
	u.write("sample.json", "1")
	u.scores(1, "")
	u.does("run", "serve.yaml")
	c := u.client()
	rounds, kills := 1, 4
	if *all {
		rounds, kills = 4, 6
	}
	for round := range rounds {
		version := round + 2
		u.scores(version, "")
		c.may(version)
		run := parse[struct{ Run string }](u, u.does("run", "serve.yaml", "--detach", "-o", "json")).Run
		u.saw(Fact{Is: Accepted, Run: run}, Fact{Is: Declared, Run: run, Stage: "serve"})
		for range kills {
			u.pause(250 * time.Millisecond)
			u.strikes(c)
		}
		u.does("server", "start")
		if r := u.sawEnd(run); r.Status != "succeeded" {
			u.Fatalf("the run ended as %+v", r)
		}
		u.does("run", "serve.yaml") // once more
		u.converges(version)
		c.must(version)
	}
	// One that cannot be served changes nothing.
	u.scores(99, "raise SystemExit('broken')\n")
	if s := u.amlflow("run", "serve.yaml"); s.code != 10 {
		u.Errorf("a deployment that cannot start ended with %d:\n%s", s.code, s.words)
	}
	u.converges(rounds + 1)
	c.judge()
	u.judge()
}

// scores writes the score file of a version.
func (u *user) scores(version int, more string) {
	u.Helper()
	u.write("score.py", fmt.Sprintf("import os\n%sdef run(data):\n    return {'v': %d, 'pid': os.getpid()}\n", more, version))
}

// strikes kills one of those that a deployment needs.
func (u *user) strikes(c *client) {
	u.Helper()
	switch u.rand.IntN(3) {
	case 0:
		if pid := u.server("server"); pid > 0 {
			u.strike("server", pid)
		}
	case 1:
		if pid := u.gateway(); pid > 1 && !gone(pid) {
			u.strike("gateway", pid)
			c.gateways.Add(1)
		}
	case 2:
		if pid := int(c.pid.Load()); pid > 1 && !gone(pid) {
			u.strike("instance", pid)
		}
	}
}

// gateway returns the process id of the gateway.
func (u *user) gateway() int {
	text, err := os.ReadFile(filepath.Join(u.home, "local", "gateway", "now.json"))
	var now struct{ PID int }
	if err != nil || json.Unmarshal(text, &now) != nil {
		return 0
	}
	return now.PID
}

// endpoint is what "endpoint show -o json" prints of one.
type endpoint struct {
	URL, State, Live string
	Versions         []struct {
		Weight    float64
		Instances []struct{ State string }
	}
}

// converges waits until one version is active, with all of its instances, and no process
// of another is alive.
func (u *user) converges(version int) {
	u.Helper()
	u.until(fmt.Sprintf("version %d alone is active", version), func() bool {
		e := parse[endpoint](u, u.does("endpoint", "show", "m", "-o", "json"))
		if e.State != "running" || len(e.Versions) != 1 || e.Versions[0].Weight != 1 || len(e.Versions[0].Instances) != 2 {
			return false
		}
		for _, i := range e.Versions[0].Instances {
			if i.State != "running" {
				return false
			}
		}
		for _, p := range u.processesOf(filepath.Join(u.home, "local", "gateway", "endpoints")) {
			if !strings.Contains(p.line, e.Live) && strings.Contains(p.line, "serve.py") {
				return false // of a version before
			}
		}
		return true
	})
}

// client asks an endpoint all the time. A request that breaks off, since the gateway was
// killed that had it, is sent again; each must be answered then.
type client struct {
	*user
	url    string
	newest atomic.Int64 // version that may answer
	oldest atomic.Int64
	pid    atomic.Int64 // of the instance that answered last
	asked  atomic.Int64
	broken atomic.Int64
	// refused are connections that nobody took, gateways how many were killed.
	refused  atomic.Int64
	gateways atomic.Int64
	end      func()
	mu       sync.Mutex
	wrong    []string
	answers  []answer
}

// clientsAtOnce is how many ask.
const clientsAtOnce = 3

// answer is who answered when.
type answer struct {
	began, ended time.Time
	version      int64
}

// between counts what was asked and answered within a time, by this version and others.
func (c *client) between(from, to time.Time, version int) (own, others int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.answers {
		switch {
		case a.began.Before(from) || a.ended.After(to):
		case a.version == int64(version):
			own++
		default:
			others++
		}
	}
	return own, others
}

// answered waits for an answer to something that is asked from now on.
func (c *client) answered() bool {
	began := time.Now()
	c.until("a client is answered", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.answers) > 0 && c.answers[len(c.answers)-1].began.After(began)
	})
	return true
}

func (u *user) client() *client {
	u.Helper()
	e := parse[endpoint](u, u.does("endpoint", "show", "m", "-o", "json"))
	c := &client{user: u, url: e.URL}
	c.newest.Store(1)
	c.oldest.Store(1)
	end := make(chan struct{})
	var clients sync.WaitGroup
	c.end = sync.OnceFunc(func() { close(end); clients.Wait() })
	u.Cleanup(c.end)
	for range clientsAtOnce {
		clients.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(2 * time.Millisecond):
				}
				c.ask()
			}
		})
	}
	return c
}

func (c *client) ask() {
	oldest, began := c.oldest.Load(), time.Now()
	text, err := c.post(http.DefaultClient)
	for range 2 {
		if err == nil {
			break
		}
		c.broken.Add(1)
		if errors.Is(err, syscall.ECONNREFUSED) {
			c.refused.Add(1)
		}
		// On a connection of its own: those that are kept may have broken with this one.
		text, err = c.post(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	}
	c.asked.Add(1)
	var a struct{ V, PID int64 }
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err == nil && (a.V < oldest || a.V > c.newest.Load()) {
		err = fmt.Errorf("version %d answered, and those from %d to %d may", a.V, oldest, c.newest.Load())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: %v: %s", time.Now().Format(time.StampMilli), err, text))
		return
	}
	c.pid.Store(a.PID)
	c.answers = append(c.answers, answer{began, time.Now(), a.V})
}

// post returns an error only for a request that broke off: an answer that says no is
// none that may be asked for again.
func (c *client) post(by *http.Client) ([]byte, error) {
	resp, err := by.Post(c.url, "application/json", bytes.NewReader([]byte("1")))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return []byte(fmt.Sprintf("status %d: %s", resp.StatusCode, text)), nil
	}
	return text, nil
}

func (c *client) may(version int) { c.newest.Store(int64(version)) }

// must says that no version before this one answers any more.
func (c *client) must(version int) { c.oldest.Store(int64(version)) }

func (c *client) judge() {
	c.Helper()
	c.end()
	c.Logf("%d requests, of which %d broke off with one of %d gateways and were sent again", c.asked.Load(), c.broken.Load(), c.gateways.Load())
	if n := c.refused.Load(); n > 0 {
		c.Errorf("%d connections were refused", n)
	}
	// What each client had asked, and connections that it has kept.
	if n, most := c.broken.Load(), 2*clientsAtOnce*c.gateways.Load(); n > most {
		c.Errorf("%d requests broke off; with %d gateways that were killed it may be %d", n, c.gateways.Load(), most)
	}
	if len(c.wrong) > 0 {
		c.Errorf("%d requests were not answered as they must:\n%s", len(c.wrong), strings.Join(c.wrong[:min(5, len(c.wrong))], "\n"))
	}
	if c.asked.Load() == 0 {
		c.Error(errors.New("nobody asked"))
	}
}
