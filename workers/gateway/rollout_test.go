package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// clients is how many ask at once.
const clients = 6

// load asks url from several goroutines until it is stopped.
type load struct {
	asked, failed atomic.Int64
	first         atomic.Pointer[error]
	stop          func()
}

func (p *place) load(url string, check func(client int, r reply) error) *load {
	l := &load{}
	end := make(chan struct{})
	var wg sync.WaitGroup
	l.stop = sync.OnceFunc(func() { close(end); wg.Wait() })
	p.Cleanup(l.stop)
	for n := range clients {
		// Half of the clients keep their connections.
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: n%2 == 0}}
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(time.Millisecond): // others need this machine, too
				}
				r, err := ask(c, url, fmt.Sprint(n))
				if err == nil && string(r.Data) != fmt.Sprint(n) {
					err = fmt.Errorf("asked %d, answered for %s", n, r.Data)
				}
				if err == nil {
					err = check(n, r)
				}
				if l.asked.Add(1); err != nil {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	return l
}

func (p *place) noneFailed(l *load) {
	p.Helper()
	l.stop()
	if n := l.failed.Load(); n > 0 {
		p.Errorf("%d of %d requests failed, the first with: %v", n, l.asked.Load(), *l.first.Load())
	}
	p.Logf("%d requests, none may fail", l.asked.Load())
}

func TestAnUpdateLosesNoRequest(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Instances = 2
	url := p.live(d)
	var newest [clients]atomic.Int64 // version
	l := p.load(url, func(client int, r reply) error {
		var v int64
		if err := json.Unmarshal(r.V, &v); err != nil || v < newest[client].Load() {
			return fmt.Errorf("version %s answered after version %d", r.V, newest[client].Load())
		}
		newest[client].Store(v)
		return nil
	})
	old := p.processes("d1")
	for v := 2; v <= 3; v++ {
		next := p.wish(fmt.Sprintf("d%d", v), "m", answering(fmt.Sprint(v)))
		next.Instances = 2
		if got := p.live(next); got != url {
			t.Errorf("the URL changed from %s to %s", url, got)
		}
		for client := range newest {
			p.await("each client to see the new version", func() bool { return newest[client].Load() == int64(v) || l.failed.Load() > 0 })
		}
	}
	p.noneFailed(l)
	p.await("the end of the first version", func() bool { return p.allEnded(old) })
	if e := p.only(); e.Live != "d3" || e.State != target.Running || len(e.Instances) != 2 {
		t.Errorf("endpoint: %+v", e)
	}
	if r := p.deployed("d1"); r.State != target.Succeeded {
		t.Errorf("what was live is now %+v", r)
	}
}

// processes returns the process folders of a deployment.
func (p *place) processes(id string) []string {
	p.Helper()
	dirs := p.begun(id)
	if len(dirs) == 0 {
		p.Fatalf("no processes of %s", id)
	}
	return dirs
}

// begun are the folders of the processes of a deployment so far.
func (p *place) begun(id string) []string {
	p.Helper()
	dirs, err := filepath.Glob(filepath.Join(p.Dir, "endpoints", "*", "deployments", id, instancesDir, "*", "[0-9]*"))
	if err != nil {
		p.Fatal(err)
	}
	return dirs
}

func (p *place) allEnded(dirs []string) bool {
	for _, dir := range dirs {
		if v, err := jobdir.Look(dir); err == nil && v.Phase == jobdir.Running {
			return false
		}
	}
	return true
}

func TestARolloutThatFailsChangesNothing(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d0", "m", answering("0"))
	d.Instances = 2
	url := p.live(d)
	l := p.load(url, func(_ int, r reply) error {
		if string(r.V) != "0" {
			return fmt.Errorf("version %s answered", r.V)
		}
		return nil
	})
	fast := func(d *target.Deployment) { d.Ready = 500 * time.Millisecond }
	soon := func(d *target.Deployment) { d.Ready = 6 * time.Second } // python is up by then
	cases := []struct {
		name, score string
		alter       func(*target.Deployment)
		reason, log string
	}{
		{"wrong answer", answering("1"), func(d *target.Deployment) { d.Sample.Answer = json.RawMessage(`{"v": 2}`) },
			`answered the sample with {"v": 1, "pid":`, ""},
		{"sample raises", "def run(data):\n    return 1 / 0\n", nil, `answered the sample with 500 {"error": "ZeroDivisionError: division by zero"}`, "in run"},
		{"init raises", "def init():\n    raise KeyError('weights')\ndef run(data): pass\n", nil, "ended by itself with exit status 1", "KeyError: 'weights'"},
		{"syntax", "def run(:\n", nil, "exit status 1", "SyntaxError"},
		{"import", "import nothing_of_this_name\ndef run(data): pass\n", nil, "exit status 1", "No module named 'nothing_of_this_name'"},
		{"no run", "def init(): pass\n", nil, "exit status 1", "'score.py' has no function run(data)"},
		{"no file", "", func(d *target.Deployment) { d.Score = "other.py" }, `the score file "other.py" is not in the code folder`, ""},
		{"no python", answering("1"), func(d *target.Deployment) { d.Host["PATH"] = "/nowhere" }, `python3 is not in the PATH "/nowhere": install it`, ""},
		{"never ready", "import time\ndef init(): time.sleep(60)\ndef run(data): pass\n", fast, "was not ready within 500ms: GET /health: nothing listens on $PORT", ""},
		{"slow sample", "import time\ndef run(data): time.sleep(60)\n", soon, "did not answer the sample within 6s", ""},
		{"sick", answering("1"), func(d *target.Deployment) { soon(d); d.Health = "/sick" }, `GET /sick: it answered 404 {"error"`, ""},
		{"script ends", "", func(d *target.Deployment) { d.Score, d.Script = "", "echo I give up; exit 7" }, "ended by itself with exit status 7", "I give up"},
		{"no command", "", func(d *target.Deployment) { d.Score, d.Script = "", "no-such-server" }, "exit status 127", "no-such-server"},
		{"bad variable", answering("1"), func(d *target.Deployment) { d.Env = map[string]string{"A B": "1"} }, `"A B" cannot name an environment variable`, ""},
	}
	for n, c := range cases {
		id := fmt.Sprintf("d%d", n+1)
		d := p.wish(id, "m", c.score)
		d.Instances = 2
		if c.alter != nil {
			c.alter(&d)
		}
		p.deploy(d)
		r := p.settle(id)
		if r.State != target.Failed || !strings.Contains(r.Reason, c.reason) || !strings.Contains(r.Log, c.log) || r.URL != "" {
			t.Errorf("%s: %s, %q\n%s\nwant the reason %q and the log %q", c.name, r.State, r.Reason, r.Log, c.reason, c.log)
		}
	}
	p.noneFailed(l)
	if e := p.only(); e.Live != "d0" || e.State != target.Running || !strings.Contains(e.Reason, "A B") {
		t.Errorf("endpoint: %+v", e)
	}
}

func TestOneBadInstanceFailsTheRollout(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "import os\ndef run(data):\n    return {'v': os.environ['AMLFLOW_INSTANCE']}\n")
	d.Instances, d.Sample.Answer = 3, json.RawMessage(`{"v": "0"}`)
	p.deploy(d)
	if r := p.settle("d1"); r.State != target.Failed || strings.Contains(r.Reason, "instance 0") {
		t.Errorf("rollout: %+v", r)
	}
	if e := p.only(); e.State != target.Failed || e.Live != "" || !strings.Contains(e.Reason, "d1 is not live: instance") {
		t.Errorf("endpoint: %+v", e)
	}
}

// slowly is a score file that is not ready before the file go exists.
func slowly(v int, mark string) string {
	return answering(fmt.Sprint(v)) + fmt.Sprintf("import time\ndef init():\n    while not os.path.exists(%q): time.sleep(0.01)\n", mark)
}

func TestANewerDeploymentSupersedesOneThatStarts(t *testing.T) {
	p := newPlace(t)
	mark := filepath.Join(t.TempDir(), "go")
	p.deploy(p.wish("d1", "m", slowly(1, mark)))
	p.await("the start of d1", func() bool {
		return p.deployed("d1").State == target.Running && exists(p.Dir, "port") && len(p.begun("d1")) > 0
	})
	first := p.processes("d1")
	if e := p.only(); e.State != target.Waiting || e.Coming != "d1" || e.Live != "" {
		t.Errorf("endpoint: %+v", e)
	}
	url := p.live(p.wish("d2", "m", answering("2")))
	if r := p.deployed("d1"); r.State != target.Cancelled || r.Reason != "superseded by d2" {
		t.Errorf("d1: %+v", r)
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.await("the end of d1", func() bool { return p.allEnded(first) })
	if r := p.ask(url, "0"); string(r.V) != "2" {
		t.Errorf("version %s answers", r.V)
	}
}

func TestWithdrawGivesUpWhatIsNotLive(t *testing.T) {
	p := newPlace(t)
	url := p.live(p.wish("d1", "m", answering("1")))
	p.deploy(p.wish("d2", "m", slowly(2, "/nowhere/go")))
	p.await("the start of d2", func() bool { return p.deployed("d2").State == target.Running })
	for _, id := range []string{"d1", "d2", "d2", "d1", "unknown"} {
		if err := p.Withdraw(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if r := p.deployed("d2"); r.State != target.Cancelled || r.Reason != "withdrawn" {
		t.Errorf("d2: %+v", r)
	}
	p.await("the end of d2", func() bool { return p.only().Coming == "" && exists(p.folderOf("d2"), sweptFile) })
	if r := p.deployed("d1"); r.State != target.Succeeded || string(p.ask(url, "0").V) != "1" {
		t.Errorf("d1: %+v", r)
	}
}

func (p *place) folderOf(id string) string {
	p.Helper()
	d, ok, err := p.find(id)
	if !ok || err != nil {
		p.Fatalf("no deployment %s, %v", id, err)
	}
	return d.dir
}

func TestFiftyDeploysAtOnceAreOne(t *testing.T) {
	p := newPlace(t)
	counter := filepath.Join(t.TempDir(), "starts")
	d := p.wish("d1", "m", answering("1")+fmt.Sprintf("open(%q, 'a').write('x')\n", counter))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := p.Deploy(t.Context(), target.Target{Name: "web", Kind: "local"}, d, p.blobs); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.live(d)
	if starts, err := os.ReadFile(counter); string(starts) != "x" {
		t.Errorf("it was started %d times, %v", len(starts), err)
	}
	d.Score, d.Script = "", "exit 1" // whatever it says, the id is known
	p.live(d)
}

func TestRetireLeavesNothing(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Instances = 2
	url := p.live(d)
	p.deploy(p.wish("d2", "m", slowly(2, "/nowhere/go")))
	p.await("the start of d2", func() bool { return p.deployed("d2").State == target.Running })
	pid := p.ask(url, "0").PID
	for _, on := range []string{"other", "web", "web"} {
		if err := p.Retire(t.Context(), on, "m"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(p.endpoint("m")); (err == nil) != (on == "other") {
			t.Errorf("after Retire on %s the folder of the endpoint: %v", on, err)
		}
	}
	if processLives(pid) {
		t.Error("an instance still runs")
	}
	if r := p.deployed("d1"); r.State != target.Lost {
		t.Errorf("d1: %+v", r)
	}
	p.await("the end of the gateway", func() bool { return !nudge(p.Dir) })
	// A repetition that comes late changes nothing, a new wish is a new endpoint.
	p.deploy(d)
	if list, err := p.Endpoints(t.Context(), target.Target{Name: "web", Kind: "local"}); len(list) > 0 || err != nil {
		t.Errorf("endpoints: %+v, %v", list, err)
	}
	if r := p.ask(p.live(p.wish("d3", "m", answering("3"))), "0"); string(r.V) != "3" {
		t.Errorf("the new endpoint answered %+v", r)
	}
}

func TestAnEndpointBelongsToOneTarget(t *testing.T) {
	p := newPlace(t)
	p.live(p.wish("d1", "m", answering("1")))
	err := p.Deploy(t.Context(), target.Target{Name: "other", Kind: "local"}, p.wish("d2", "m", answering("2")), p.blobs)
	if err == nil || !strings.Contains(err.Error(), `target "web" already serves`) {
		t.Errorf("error: %v", err)
	}
	if list, err := p.Endpoints(t.Context(), target.Target{Name: "other", Kind: "local"}); len(list) > 0 || err != nil {
		t.Errorf("endpoints of the other target: %+v, %v", list, err)
	}
}

func TestOldDeploymentsAreForgotten(t *testing.T) {
	p := newPlace(t)
	for n := range keepEnded + 4 {
		d := p.wish(fmt.Sprintf("d%d", n), "m", "")
		d.Score = "missing.py"
		p.deploy(d)
		p.settle(d.ID)
	}
	p.await("the first to be forgotten", func() bool { return p.deployed("d0").State == target.Lost })
	if r := p.deployed(fmt.Sprintf("d%d", keepEnded+3)); r.State != target.Failed {
		t.Errorf("the last: %+v", r)
	}
}

func TestAnUpdateAnswersTheRequestsUnderWay(t *testing.T) {
	p := newPlace(t)
	begun := filepath.Join(t.TempDir(), "begun")
	mark := filepath.Join(t.TempDir(), "go")
	score := fmt.Sprintf("import os, time\ndef run(data):\n    if data == 1:\n        open(%q, 'a').write('x')\n        while not os.path.exists(%q): time.sleep(0.01)\n    return {'v': 'old'}\n", begun, mark)
	url := p.live(p.wish("d1", "m", score))
	answer := make(chan string, 1)
	go func() {
		r, err := ask(http.DefaultClient, url, "1")
		answer <- fmt.Sprint(string(r.V), " ", err)
	}()
	p.await("the request to be under way", func() bool { return exists(filepath.Dir(begun), "begun") })
	old := p.processes("d1")
	p.live(p.wish("d2", "m", answering("2")))
	for range 20 {
		if r := p.ask(url, "0"); string(r.V) != "2" {
			t.Errorf("after the switch version %s answered", r.V)
		}
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != `"old" <nil>` {
		t.Errorf("the request under way: %s", got)
	}
	if n, _ := os.ReadFile(begun); string(n) != "x" {
		t.Errorf("the request was sent %d times", len(n))
	}
	p.await("the end of the old version", func() bool { return p.allEnded(old) })
}
