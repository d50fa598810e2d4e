package gateway

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// blocking answers 1 after the file mark exists, and writes a letter for each begin.
func blocking(begun, mark string) string {
	return fmt.Sprintf("import os, time\ndef run(data):\n    if data == 1:\n        open(%q, 'a').write('x')\n        while not os.path.exists(%q): time.sleep(0.01)\n    return {'v': data}\n", begun, mark)
}

func TestBeyondTheQueueClientsAreToldToComeBack(t *testing.T) {
	p := newPlace(t)
	begun, mark := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "go")
	d := p.wish("d1", "m", blocking(begun, mark))
	d.Limits = target.Limits{Concurrent: 1, Queue: 2}
	url := p.live(d)
	type got struct {
		status int
		after  string
	}
	answers := make(chan got, 6)
	send := func() {
		resp, err := http.Post(url, "application/json", strings.NewReader("1"))
		if err != nil {
			t.Error(err)
			answers <- got{}
			return
		}
		resp.Body.Close()
		answers <- got{resp.StatusCode, resp.Header.Get("Retry-After")}
	}
	go send()
	p.await("the first to be under way", func() bool { return exists(filepath.Dir(begun), "begun") })
	// Of five more two wait, and three are refused, at once.
	for range 5 {
		go send()
	}
	for range 3 {
		if a := <-answers; a.status != http.StatusTooManyRequests || a.after == "" {
			t.Errorf("got %+v", a)
		}
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("one that waited got %+v", a)
		}
	}
	p.figures("d1", func(f target.Figures) bool { return f.Requests == 3 && f.Rejected == 3 && f.Errors == 0 })
}

// figures waits until the figures of a version are as they should be.
func (p *place) figures(id string, want func(target.Figures) bool) target.Figures {
	p.Helper()
	var f target.Figures
	p.awaitOr("the figures of "+id, func() bool {
		var err error
		if f, err = p.Measured(p.Context(), "web", "m", id, time.Time{}); err != nil {
			p.Fatal(err)
		}
		return want(f)
	}, func() string { return fmt.Sprintf("%+v", f) })
	return f
}

func TestAnAnswerThatTakesTooLong(t *testing.T) {
	p := newPlace(t)
	begun, mark := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "go")
	d := p.wish("d1", "m", blocking(begun, mark))
	d.Limits = target.Limits{Concurrent: 1, Timeout: 300 * time.Millisecond}
	url := p.live(d)
	if status, text := p.send("POST", url, "1", nil); status != http.StatusGatewayTimeout || !strings.Contains(text, "within 300ms") {
		t.Errorf("got %d %s", status, text)
	}
	// The instance is still busy with it; one that waits behind it has no longer either.
	if status, text := p.send("POST", url, "2", nil); status != http.StatusGatewayTimeout {
		t.Errorf("got %d %s", status, text)
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.await("an answer", func() bool { _, err := ask(http.DefaultClient, url, "2"); return err == nil })
	p.figures("d1", func(f target.Figures) bool { return f.Errors >= 2 && f.Requests > f.Errors && f.P99 >= 300 })
}

// With one instance there is no other to ask: clients wait until it is back.
func TestTheOnlyInstanceMayDie(t *testing.T) {
	p := newPlace(t)
	url := p.live(p.wish("d1", "m", answering("1")))
	l := p.load(url, func(int, reply) error { return nil })
	for round := 1; round <= 3; round++ {
		pid := p.ask(url, "0").PID
		kill(t, pid)
		p.await("another process", func() bool { return p.ask(url, "0").PID != pid })
		// Whose request has killed three instances is not given a fourth.
		before := l.asked.Load()
		p.await("every client to go on", func() bool { return l.asked.Load() > before+2*clients })
	}
	p.noneFailed(l)
}

func TestInstancesFollowTheLoad(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "import os, time\ndef run(data):\n    time.sleep(0.02)\n    return {'v': 1, 'data': data}\n")
	d.Limits = target.Limits{Concurrent: 1}
	d.Scale = &target.Scale{Min: 0, Max: 3, Utilisation: 0.9, Delay: 500 * time.Millisecond}
	url := p.live(d)
	instances := func(n int) func() bool {
		return func() bool {
			running := 0
			for _, i := range p.only().Instances {
				if i.State == target.Running {
					running++
				}
			}
			return running == n && len(p.only().Instances) == n
		}
	}
	p.await("no instance while nobody asks", instances(0))
	if e := p.only(); e.State != target.Running || !strings.Contains(e.Reason, "the next request starts one") {
		t.Errorf("endpoint: %+v", e)
	}
	l := p.load(url, func(int, reply) error { return nil })
	p.await("the most instances", instances(3))
	before := l.asked.Load()
	p.await("a hundred more answers", func() bool { return l.asked.Load() > before+100 })
	l.stop()
	p.await("no instance any more", instances(0))
	p.noneFailed(l)
	for range 2 { // each from nothing
		p.ask(url, "1")
		p.await("no instance any more", instances(0))
	}
	if status, text := p.send("GET", url+"/health", "", nil); status != http.StatusOK {
		t.Errorf("its health: %d %s", status, text)
	}
}

func TestAColdStartThatFailsIsToldAtOnce(t *testing.T) {
	p := newPlace(t)
	mark := filepath.Join(t.TempDir(), "broken")
	d := p.wish("d1", "m", answering("1")+fmt.Sprintf("def init():\n    if os.path.exists(%q): raise KeyError('weights')\n", mark))
	d.Scale = &target.Scale{Min: 0, Max: 1, Delay: 300 * time.Millisecond}
	url := p.live(d)
	p.await("no instance while nobody asks", func() bool { return len(p.only().Instances) == 0 })
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, text := p.send("POST", url, "1", nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "ended by itself with exit status 1") {
		t.Errorf("got %d %s", status, text)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	p.await("an answer", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
}

func TestAGatewayKilledWhileItScales(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "import time\ndef run(data):\n    time.sleep(0.02)\n    return {'v': 1, 'data': data}\n")
	d.Limits = target.Limits{Concurrent: 1}
	d.Scale = &target.Scale{Min: 1, Max: 3, Utilisation: 0.9, Delay: 300 * time.Millisecond}
	url := p.live(d)
	for range 3 {
		l := p.load(url, func(int, reply) error { return nil })
		p.await("more instances", func() bool { return len(p.only().Instances) > 1 })
		l.stop()
		p.killGateway(9)
		p.await("one instance", func() bool { return len(p.only().Instances) == 1 })
	}
	p.await("an answer", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
	running := 0
	for _, dir := range p.begun("d1") {
		if !p.allEnded([]string{dir}) {
			running++
		}
	}
	if running != 1 {
		t.Errorf("%d processes run", running)
	}
}

func TestPlacesAreGivenInTurn(t *testing.T) {
	i := &instance{}
	i.now.Store(&start{Ready: true})
	p := &places{each: 1, queue: 50}
	p.add(i)
	if got, err := p.take(t.Context(), nil); got != i || err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			got, err := p.take(t.Context(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, strconv.Itoa(n))
			mu.Unlock()
			p.leave(got)
		})
		for waiting := 0; waiting <= n; waiting, _, _ = p.load() {
			time.Sleep(time.Microsecond)
		}
	}
	if _, err := p.take(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "all places are taken") {
		t.Errorf("got %v", err)
	}
	p.leave(i)
	wg.Wait()
	for n, got := range order {
		if got != strconv.Itoa(n) {
			t.Fatalf("the order was %v", order)
		}
	}
	if waiting, all, area := p.load(); waiting != 0 || all != 0 || area <= 0 || i.pending.Load() != 0 {
		t.Errorf("%d wait, of %d, over %v; %d are pending", waiting, all, area, i.pending.Load())
	}
}
