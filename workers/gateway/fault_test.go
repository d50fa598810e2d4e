package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// processLives reports whether pid is a process that has not ended, though nobody may
// have asked yet how.
func processLives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !exists("/proc", "self")
	}
	return !bytes.Contains(stat, []byte(") Z "))
}

func TestAKilledInstanceIsStartedAgain(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1")+"print('start', os.getpid())\n")
	d.Instances = 2
	url := p.live(d)
	l := p.load(url, func(int, reply) error { return nil })
	for round := 1; round <= 3; round++ {
		pid := p.ask(url, "0").PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.await("the restart", func() bool {
			restarts, ready := 0, 0
			for _, i := range p.only().Instances {
				restarts += i.Restarts
				if i.State == target.Running {
					ready++
				}
			}
			return restarts == round && ready == 2
		})
	}
	p.noneFailed(l)
	if n := strings.Count(p.logOf(0)+p.logOf(1), "start "); n != 5 {
		t.Errorf("the logs tell of %d starts, want 5", n)
	}
}

func TestTheSupervisorOfAnInstanceMayDie(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Instances = 2
	url := p.live(d)
	l := p.load(url, func(int, reply) error { return nil })
	if err := syscall.Kill(p.only().Instances[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.await("the restart", func() bool {
		i := p.only().Instances[1]
		return i.Restarts == 1 && i.State == target.Running
	})
	p.noneFailed(l)
}

func TestWithoutAnInstanceClientsAreToldToComeBack(t *testing.T) {
	p := newPlace(t)
	mark := filepath.Join(t.TempDir(), "broken")
	url := p.live(p.wish("d1", "m", answering("1")+fmt.Sprintf("if os.path.exists(%q): raise SystemExit('broken')\n", mark)))
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.ask(url, "0").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.await("the second restart", func() bool { return p.only().Instances[0].Restarts >= 2 })
	resp, err := http.Post(url, "application/json", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer: %+v", resp)
	}
	if e := p.only(); e.State == target.Running || e.Live != "d1" || !strings.Contains(e.Reason, "ended by itself") {
		t.Errorf("endpoint: %+v", e)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	p.await("the instance to come back", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
}

func TestAKilledGatewayFindsItsInstancesAgain(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Instances = 2
	url := p.live(d)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	before := p.only().Instances
	for range 10 {
		p.killGateway(syscall.SIGKILL)
		if nudge(p.Dir) {
			t.Fatal("a killed gateway still listens to nudges")
		}
		if e, err := (Folder{Dir: p.Dir}).Endpoints(t.Context(), target.Target{Name: "web", Kind: "local"}); err != nil || e[0].State != target.Waiting || e[0].Reason != gone {
			t.Errorf("without a gateway: %+v, %v", e, err)
		}
		p.only() // starts it again
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
	}
	p.await("an answer", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
	e := p.only()
	for n, i := range e.Instances {
		if i != before[n] {
			t.Errorf("instance %d was %+v and is %+v", n, before[n], i)
		}
	}
	if e.URL != url {
		t.Errorf("the URL was %s and is %s", url, e.URL)
	}
}

func TestAGatewayKilledInARolloutGoesOn(t *testing.T) {
	p := newPlace(t)
	counter := filepath.Join(t.TempDir(), "starts")
	mark := filepath.Join(t.TempDir(), "go")
	p.deploy(p.wish("d1", "m", fmt.Sprintf("open(%q, 'a').write('x')\n", counter)+slowly(1, mark)))
	p.await("the start", func() bool { return exists(filepath.Dir(counter), "starts") })
	p.killGateway(syscall.SIGKILL)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.settle("d1"); r.State != target.Succeeded {
		t.Fatalf("rollout: %+v", r)
	}
	if starts, _ := os.ReadFile(counter); string(starts) != "x" {
		t.Errorf("it was started %d times", len(starts))
	}
}

func TestAGatewayIsKilledAtAnyMomentOfAnUpdate(t *testing.T) {
	p := newPlace(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	url := p.live(p.wish("d0", "m", answering("0")))
	for v := 1; v <= 4; v++ {
		p.deploy(p.wish(fmt.Sprintf("d%d", v), "m", answering(fmt.Sprint(v))))
		for range 4 {
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
			p.killGateway(syscall.SIGKILL)
			p.only()
		}
		if r := p.settle(fmt.Sprintf("d%d", v)); r.State != target.Succeeded {
			t.Fatalf("rollout %d: %+v", v, r)
		}
	}
	p.await("the last version to answer", func() bool {
		r, err := ask(http.DefaultClient, url, "0")
		return err == nil && string(r.V) == "4"
	})
	for v := range 4 {
		p.await("the end of the old version", func() bool { return exists(p.folderOf(fmt.Sprintf("d%d", v)), sweptFile) })
	}
}

func TestAGatewayThatIsAskedToEndAnswersFirst(t *testing.T) {
	p := newPlace(t)
	begun := filepath.Join(t.TempDir(), "begun")
	mark := filepath.Join(t.TempDir(), "go")
	score := fmt.Sprintf("import os, time\ndef run(data):\n    if data != 1: return {}\n    open(%q, 'w')\n    while not os.path.exists(%q): time.sleep(0.01)\n    return {'v': 1}\n", begun, mark)
	url := p.live(p.wish("d1", "m", score))
	answer := make(chan error, 1)
	go func() {
		_, err := ask(http.DefaultClient, url, "1")
		answer <- err
	}()
	p.await("the request to be under way", func() bool { return exists(filepath.Dir(begun), "begun") })
	if err := p.started[0].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.await("the gateway to resign", func() bool { return !nudge(p.Dir) })
	pid := p.only().Instances[0].PID // the next gateway is there at once
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if !processLives(pid) {
		t.Error("the instance ended with its gateway")
	}
	p.await("the next gateway to answer", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
}

func TestThePortIsTaken(t *testing.T) {
	p := newPlace(t)
	url := p.live(p.wish("d1", "m", answering("1")))
	p.killGateway(syscall.SIGKILL)
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/m")
	var thief net.Listener
	p.await("the port to be free", func() (ok bool) {
		var err error
		thief, err = net.Listen("tcp4", address)
		return err == nil
	})
	p.await("the endpoint to tell why it fails", func() bool {
		e := p.only()
		return e.State == target.Failed && strings.Contains(e.Reason, "cannot listen on port") && strings.Contains(e.Reason, PortVariable)
	})
	next := p.wish("d2", "m", answering("2"))
	next.Ready = 4 * time.Second
	p.deploy(next)
	if r := p.settle("d2"); r.State != target.Failed || !strings.Contains(r.Reason, "cannot listen on port") {
		t.Errorf("rollout: %+v", r)
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	p.await("the endpoint to come back", func() bool { _, err := ask(http.DefaultClient, url, "0"); return err == nil })
	if e := p.only(); e.URL != url {
		t.Errorf("the URL was %s and is %s", url, e.URL)
	}
}

func TestThePortCanBeSaid(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	p.env = []string{PortVariable + "=" + port}
	if url := p.live(p.wish("d1", "m", answering("1"))); url != "http://127.0.0.1:"+port+"/m" {
		t.Errorf("the URL is %s, want port %s", url, port)
	}
}

func TestOnlyOneGatewayWorksForAFolder(t *testing.T) {
	p := newPlace(t)
	p.live(p.wish("d1", "m", answering("1")))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Main(ctx, p.Dir, nil, os.Stderr); err != nil || ctx.Err() != nil {
		t.Errorf("a second gateway: %v, %v", err, ctx.Err())
	}
	var n now
	if err := readJSON(p.Dir, nowFile, &n); err != nil || n.PID != p.started[0].Process.Pid {
		t.Errorf("the gateway is %+v, %v", n, err)
	}
}

func TestAGatewayThatCannotStartIsReported(t *testing.T) {
	p := newPlace(t)
	p.Folder.Start = func(string) error { return os.ErrPermission }
	err := p.Deploy(t.Context(), target.Target{Name: "web", Kind: "local"}, p.wish("d1", "m", answering("1")), p.blobs)
	if err == nil || !strings.Contains(err.Error(), "start the gateway of") {
		t.Errorf("error: %v", err)
	}
	p.Folder.Start = p.startProcess // what was wished still stands
	if r := p.settle("d1"); r.State != target.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
}

func TestALogIsReadOnFromAnyOffset(t *testing.T) {
	p := newPlace(t)
	p.live(p.wish("d1", "m", answering("1")+"print('0123456789')\n"))
	for offset := range int64(11) {
		var b bytes.Buffer
		end, err := p.ReadEndpoint(t.Context(), "web", "m", "", 0, offset, &b)
		if err != nil || end != 11 || b.String() != "0123456789\n"[offset:] {
			t.Errorf("from %d: %q, %d, %v", offset, b.String(), end, err)
		}
	}
	var b bytes.Buffer
	if end, err := p.ReadEndpoint(t.Context(), "web", "m", "", 0, 99, &b); end != 11 || b.Len() != 11 || err != nil {
		t.Errorf("from beyond the end: %q, %d, %v", b.String(), end, err)
	}
	for _, c := range []struct {
		name     string
		instance int
	}{{"m", 1}, {"m", -1}, {"other", 0}, {"../m", 0}} {
		if _, err := p.ReadEndpoint(t.Context(), "web", c.name, "", c.instance, 0, &b); err == nil {
			t.Errorf("endpoint %q has an instance %d", c.name, c.instance)
		}
	}
}

// The versions of an endpoint print into logs of their own, which stay when they stop.
func TestEachVersionHasItsLog(t *testing.T) {
	p := newPlace(t)
	p.live(p.wish("d1", "m", answering("1")+"print('one')\n"))
	p.live(p.wish("d2", "m", answering("2")+"print('two')\n"))
	for id, want := range map[string]string{"d1": "one\n", "d2": "two\n", "": "two\n"} {
		var b bytes.Buffer
		if _, err := p.ReadEndpoint(t.Context(), "web", "m", id, 0, 0, &b); err != nil || b.String() != want {
			t.Errorf("the log of %q: %q, %v", id, b.String(), err)
		}
	}
	if _, err := p.ReadEndpoint(t.Context(), "web", "m", "d3", 0, 0, io.Discard); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("the log of a version that never was: %v", err)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
