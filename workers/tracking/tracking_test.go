package tracking

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// rig is a state folder whose jobs log, and whose processes are goroutines of this one.
type rig struct {
	*testing.T
	home    string
	service *Service
	mu      sync.Mutex
	started int
	kill    context.CancelFunc
	over    chan struct{}
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, home: t.TempDir()}
	r.service = New(filepath.Join(r.home, "tracking"), r.start)
	t.Cleanup(func() { r.service.Close(); r.end() })
	return r
}

// start is a process, less what only a process of its own can show.
func (r *rig) start(dir string, socket, lock *os.File) (<-chan struct{}, error) {
	return r.process(Process{Dir: dir, Socket: socket, Lock: lock})
}

func (r *rig) process(p Process) (<-chan struct{}, error) {
	own := func(f *os.File) *os.File {
		fd, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			r.Error(err)
		}
		return os.NewFile(uintptr(fd), f.Name())
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	r.mu.Lock()
	r.started++
	if before := r.kill; before != nil && !p.StandBy {
		before()
	}
	if !p.StandBy {
		r.kill, r.over = cancel, over
	} else {
		r.Cleanup(func() { cancel(); <-over })
	}
	r.mu.Unlock()
	p.Socket, p.Lock = own(p.Socket), own(p.Lock)
	go func() {
		defer close(over)
		if err := Main(ctx, p); err != nil {
			r.Error(err)
		}
	}()
	return over, nil
}

// processes is how many were started.
func (r *rig) processes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// end ends the process.
func (r *rig) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill != nil {
		r.kill()
		<-r.over
		r.kill = nil
	}
}

// client is a job that logs.
type client struct {
	*rig
	dir    string
	access Access
}

func (r *rig) job(id string) client {
	dir := filepath.Join(r.home, "local", "jobs", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.json"), nil, 0o600); err != nil {
		r.Fatal(err)
	}
	a := r.service.Admit(dir)
	if a == nil {
		r.Fatal("the job was not admitted")
	}
	return client{r, dir, *a}
}

// do asks, and returns the status and what was said.
func (c client) do(method, path, body string) (int, string) {
	c.Helper()
	q, err := http.NewRequest(method, c.access.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+c.access.Token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	a, err := client.Do(q)
	if err != nil {
		c.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		c.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// must asks what is to be answered, and returns the answer.
func (c client) must(method, path, body string) map[string]any {
	c.Helper()
	status, text := c.do(method, path, body)
	var said map[string]any
	if err := json.Unmarshal([]byte(text), &said); err != nil || status != http.StatusOK {
		c.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return said
}

const api = "/api/2.0/mlflow/"

// run makes a run and returns its id.
func (c client) run(tags string) string {
	c.Helper()
	said := c.must("POST", api+"runs/create", `{"experiment_id": "0", "start_time": 1, "tags": [`+tags+`]}`)
	return at(said, "run", "info", "run_id").(string)
}

func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (c client) file(name string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !os.IsNotExist(err) {
		c.Fatal(err)
	}
	return string(text)
}

func TestWhatIsLoggedIsKept(t *testing.T) {
	c := newRig(t).job("r.train.1")
	id := c.must("POST", api+"experiments/create", `{"name": "iris"}`)["experiment_id"]
	if got := at(c.must("GET", api+"experiments/get-by-name?experiment_name=iris", ""), "experiment", "experiment_id"); got != id {
		t.Errorf("the experiment is %v, want %v", got, id)
	}
	run := c.run("")
	c.must("POST", api+"runs/log-batch", `{"run_id": "`+run+`", "params": [{"key": "lr", "value": "0.1"}], "tags": [{"key": "who", "value": "me"}],
		"metrics": [{"key": "loss", "value": 0.5, "timestamp": 7, "step": "1"}, {"key": "acc", "value": 0.8, "timestamp": 7, "step": 1}, {"key": "loss", "value": "NaN", "timestamp": 8, "step": 2}]}`)
	c.must("PUT", "/api/2.0/mlflow-artifacts/artifacts/runs/"+run+"/model/MLmodel", "a model")
	c.must("POST", api+"runs/update", `{"run_id": "`+run+`", "status": "FINISHED", "end_time": 9}`)

	check := func() {
		t.Helper()
		said := c.must("GET", api+"runs/get?run_id="+run, "")["run"]
		text, _ := json.Marshal(said)
		for _, want := range []string{`"status":"FINISHED"`, `{"key":"lr","value":"0.1"}`, `{"key":"who","value":"me"}`, `{"key":"acc","step":1,"timestamp":7,"value":0.8}`, `{"key":"loss","step":2,"timestamp":8,"value":"NaN"}`} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("the run lacks %s:\n%s", want, text)
			}
		}
		if got := len(c.must("GET", api+"metrics/get-history?run_id="+run+"&metric_key=loss", "")["metrics"].([]any)); got != 2 {
			t.Errorf("loss has %d values, want 2", got)
		}
		if _, got := c.do("GET", "/api/2.0/mlflow-artifacts/artifacts/runs/"+run+"/model/MLmodel", ""); got != "a model" {
			t.Errorf("the artifact is %q", got)
		}
	}
	check()
	c.end() // another process reads it all from the folder
	check()
	want := fmt.Sprintf(`{"loss":0.5,"acc":0.8,"step":1,"mlflow":{"run":%q,"time":7}}`, run)
	if got, _, _ := strings.Cut(c.file("metrics.jsonl"), "\n"); got != want {
		t.Errorf("the job's metrics begin with\n%s, want\n%s", got, want)
	}
}

// What a client asks again, since it has not heard the answer, changes nothing.
func TestAskingAgainChangesNothing(t *testing.T) {
	c := newRig(t).job("r.train.1")
	run := c.run("")
	batch := `{"run_id": "` + run + `", "params": [{"key": "lr", "value": "0.1"}], "metrics": [{"key": "loss", "value": 0.5, "timestamp": 7, "step": 1}]}`
	c.must("POST", api+"runs/log-batch", batch)
	was := c.file("metrics.jsonl")
	c.must("POST", api+"runs/log-batch", batch)
	c.end()
	c.must("POST", api+"runs/log-batch", batch)
	if got := c.file("metrics.jsonl"); got != was {
		t.Errorf("the metrics are\n%swant\n%s", got, was)
	}
	if status, text := c.do("POST", api+"runs/log-parameter", `{"run_id": "`+run+`", "key": "lr", "value": "0.2"}`); status != http.StatusBadRequest || !strings.Contains(text, "INVALID_PARAMETER_VALUE") {
		t.Errorf("another value of a param: %d %s", status, text)
	}
}

// A line that was being written when its writer was killed spoils nothing.
func TestTornLines(t *testing.T) {
	c := newRig(t).job("r.train.1")
	run := c.run("")
	c.end()
	for _, name := range []string{"metrics.jsonl", "tracked/journal.jsonl"} {
		f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(`[{"par`)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	c.must("POST", api+"runs/log-metric", `{"run_id": "`+run+`", "key": "loss", "value": 1, "timestamp": 1}`)
	c.must("POST", api+"runs/set-tag", `{"run_id": "`+run+`", "key": "who", "value": "me"}`)
	c.end()
	text, _ := json.Marshal(c.must("GET", api+"runs/get?run_id="+run, ""))
	if !strings.Contains(string(text), `"key":"loss"`) || !strings.Contains(string(text), `"key":"who"`) {
		t.Errorf("something was lost:\n%s", text)
	}
}

// Runs that are parts of another keep their metrics to themselves.
func TestMetricsOfNestedRuns(t *testing.T) {
	c := newRig(t).job("r.train.1")
	parent := c.run("")
	child := c.run(`{"key": "mlflow.parentRunId", "value": "` + parent + `"}`)
	c.must("POST", api+"runs/log-metric", `{"run_id": "`+child+`", "key": "loss", "value": 1, "timestamp": 1}`)
	if got := c.file("metrics.jsonl"); got != "" {
		t.Errorf("the job has metrics:\n%s", got)
	}
	c.end()
	if got := at(c.must("GET", api+"runs/get?run_id="+child, ""), "run", "data", "metrics"); len(got.([]any)) != 1 {
		t.Errorf("the nested run has the metrics %v", got)
	}
}

// A job sees and writes what is its own, and nothing else.
func TestJobsAreApart(t *testing.T) {
	r := newRig(t)
	a, b := r.job("r.a.1"), r.job("r.b.1")
	run := a.run("")
	if status, _ := b.do("GET", api+"runs/get?run_id="+run, ""); status != http.StatusNotFound {
		t.Errorf("the run of another job: %d", status)
	}
	a.must("PUT", "/api/2.0/mlflow-artifacts/artifacts/runs/x/f", "secret")
	for _, path := range []string{"/api/2.0/mlflow-artifacts/artifacts/runs/x/f", "/api/2.0/mlflow-artifacts/artifacts/..%2f..%2f..%2fr.a.1%2ftracked%2ffiles%2fruns%2fx%2ff"} {
		if status, text := b.do("GET", path, ""); status == http.StatusOK {
			t.Errorf("%s of another job: %s", path, text)
		}
	}
	forged := b
	forged.access.Token = strings.Replace(b.access.Token, "r.b.1", "r.a.1", 1)
	for _, token := range []string{forged.access.Token, "", "x", strings.Repeat("0", 64) + "/local/jobs/r.a.1"} {
		forged.access.Token = token
		for _, path := range []string{api + "runs/get?run_id=" + run, "/api/2.0/mlflow-artifacts/artifacts/runs/x/f"} {
			if status, _ := forged.do("GET", path, ""); status != http.StatusUnauthorized {
				t.Errorf("token %q is answered %d", token, status)
			}
		}
	}
}

// Another name for this computer may be that of a page in somebody's browser.
func TestOtherHostsAreRefused(t *testing.T) {
	c := newRig(t).job("r.a.1")
	q, _ := http.NewRequest(http.MethodGet, c.access.URL+"/health", nil)
	q.Host = "evil.example:80"
	a, err := http.DefaultClient.Do(q)
	if err != nil || a.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", a, err)
	}
}

// The process is there for the first request and not before, and again after it was
// killed; a request in between waits.
func TestTheProcessStartsWhenItIsAsked(t *testing.T) {
	c := newRig(t).job("r.a.1")
	if c.processes() != 0 {
		t.Fatal("a process was started for nothing")
	}
	for n := 1; n <= 3; n++ {
		c.must("POST", api+"experiments/search", `{}`)
		c.end()
		if got := c.processes(); got != n {
			t.Fatalf("%d processes were started, want %d", got, n)
		}
	}
}

// Who submits and the process may both be killed, one after the other: a second process
// stands by for jobs that are running.
func TestASecondProcessStandsBy(t *testing.T) {
	r := newRig(t)
	c := r.job("r.a.1")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("SKIP: there is no sleep")
	}
	if err := jobdir.Start(t.Context(), c.dir, jobdir.Process{Argv: []string{sleep, "600"}, Work: c.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = jobdir.Stop(c.dir, "stopped", 0)
		for v, err := jobdir.Look(c.dir); err == nil && v.Phase == jobdir.Running; v, err = jobdir.Look(c.dir) {
			time.Sleep(time.Millisecond)
		}
	})
	run := c.run("")
	stands := make(chan struct{})
	standing = func() { close(stands) }
	t.Cleanup(func() { standing = func() {} })
	if _, err := r.process(Process{Dir: r.service.dir, Socket: r.service.hold.socket, Lock: r.service.hold.lock, StandBy: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stands:
	case <-time.After(time.Minute):
		t.Fatal("no process stands by")
	}
	r.service.Close()
	r.end()
	c.must("GET", api+"runs/get?run_id="+run, "")
}

// Who submits may be killed: the address stays, and is that of the next one.
func TestTheAddressStays(t *testing.T) {
	r := newRig(t)
	c := r.job("r.a.1")
	c.must("POST", api+"experiments/search", `{}`)
	r.service.Close()
	c.must("POST", api+"experiments/search", `{}`) // the process goes on
	r.service = New(r.service.dir, r.start)
	if again := r.job("r.a.1"); again.access != c.access {
		t.Errorf("the address became %v, want %v", again.access, c.access)
	}
	r.end()
	r.service.Close()
	r.service = New(r.service.dir, r.start)
	if again := r.job("r.a.1"); again.access != c.access {
		t.Errorf("the address became %v, want %v", again.access, c.access)
	}
	c.must("POST", api+"experiments/search", `{}`)
}

func TestSearch(t *testing.T) {
	c := newRig(t).job("r.a.1")
	for i, model := range []string{"tree", "linear", "tree"} {
		run := c.run(fmt.Sprintf(`{"key": "mlflow.runName", "value": "n%d"}`, i))
		c.must("POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id": %q, "params": [{"key": "the model", "value": %q}], "metrics": [{"key": "loss", "value": %d, "timestamp": 1}]}`, run, model, i))
	}
	for filter, want := range map[string]string{
		``:                               "n2 n1 n0",
		`params."the model" = 'tree'`:    "n2 n0",
		"params.`the model` LIKE 'lin%'": "n1",
		`metrics.loss >= 1 AND params."the model" != 'linear'`: "n2",
		`attributes.run_name IN ('n0', 'n1')`:                  "n1 n0",
		`tags.none IS NULL and metrics.loss<1`:                 "n0",
		`status = 'FINISHED'`:                                  "",
	} {
		said := c.must("POST", api+"runs/search", `{"experiment_ids": ["0"], "filter": `+quoted(filter)+`}`)
		if got := names(said); got != want {
			t.Errorf("%s finds %q, want %q", filter, got, want)
		}
	}
	if got := names(c.must("POST", api+"runs/search", `{"order_by": ["metrics.loss ASC"], "max_results": 2}`)); got != "n0 n1" {
		t.Errorf("in the order of loss: %s", got)
	}
	for _, bad := range []string{"metrics.loss >", "'", "a = 1 b = 2", "params.x IN 3"} {
		if status, text := c.do("POST", api+"runs/search", `{"filter": `+quoted(bad)+`}`); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, status, text)
		}
	}
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

func names(said map[string]any) string {
	var all []string
	for _, r := range said["runs"].([]any) {
		all = append(all, at(r, "info", "run_name").(string))
	}
	return strings.Join(all, " ")
}

// Whatever is said, the process lives, and never answers what the client tries again for
// a day.
func FuzzFilter(f *testing.F) {
	f.Add(`metrics.loss < 0.3 AND params."m" LIKE 'tree%' and x IN ('a','b')`)
	f.Fuzz(func(_ *testing.T, text string) {
		all, err := parseFilter(text)
		if err == nil {
			holds(all, func(string, string) any { return "x" })
			holds(all, func(string, string) any { return 1.5 })
		}
		_, _ = parseOrder(text)
	})
}
