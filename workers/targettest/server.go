package targettest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// What is asked of a target that serves, whether or not it can split requests.
var serverQuestions = []question{
	{"AnyServerOnThePort", anyServerOnThePort},
	{"AScoreFileGetsItsModel", aScoreFileGetsItsModel},
	{"WhatRaisesGoesNotLive", whatRaisesGoesNotLive},
	{"AnInstanceThatEndsIsReplaced", anInstanceThatEndsIsReplaced},
	{"WhatIsRetiredIsGone", whatIsRetiredIsGone},
	{"KilledAtAnyMomentNothingIsTwice", killedAtAnyMomentNothingIsTwice},
}

// beats are lines of a script that show in the file at path which processes are alive:
// each has a name of its own, also where numbers of processes mean nothing.
func beats(path string) string {
	return fmt.Sprintf(`me=$(cat /proc/sys/kernel/random/uuid); echo "start $me" >>%[1]s
(while kill -0 $$ 2>/dev/null; do echo "beat $me" >>%[1]s; sleep 0.1; done) </dev/null >/dev/null 2>&1 &
`, word(path))
}

// web is a script that starts a server which answers with the content of the file
// answer, which may be a folder away.
const web = `cat >server.py <<'END'
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer(b"well")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body == b'"die"': os._exit(3)
        self.answer(b'"' + os.environ["AMLFLOW_ENDPOINT"].encode() + b" " + os.environ["AMLFLOW_INSTANCE"].encode() + b'"')
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args): pass
print("begun", flush=True)
http.server.ThreadingHTTPServer((os.environ["AMLFLOW_LISTEN"], int(os.environ["PORT"])), Handler).serve_forever()
END
exec python3 server.py
`

func (s *served) run(before string) func(*target.Deployment) {
	return func(d *target.Deployment) {
		d.Score, d.Script = "", before+web
		d.Health, d.Path = "/", "/"
	}
}

// logs waits until the log of an instance of a version, or of the one that answers, is as it should be.
func (s *served) logs(id string, instance int, want func(string) bool) {
	s.Helper()
	var b bytes.Buffer
	for end := time.Now().Add(s.patience()); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		b.Reset()
		n, err := s.ReadEndpoint(s.Context(), s.Target, s.name, id, instance, 0, &b)
		if err != nil {
			s.Fatal(err)
		}
		if int(n) != b.Len() {
			s.Fatalf("of the log there are %d bytes, and it says that it has reached %d", b.Len(), n)
		}
		if want(b.String()) {
			return
		}
	}
	s.Errorf("the log of instance %d never became right: %q", instance, b.String())
}

func anyServerOnThePort(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", false, s.run("echo hello\n"), func(d *target.Deployment) { d.Instances = 2 })
	by := map[string]bool{}
	for end := time.Now().Add(s.patience()); len(by) < 2 && time.Now().Before(end); {
		status, text, err := s.ask("1")
		if err != nil || status != http.StatusOK {
			t.Fatalf("got %d %s, %v", status, text, err)
		}
		by[text] = true
	}
	if !by["m 0"] || !by["m 1"] {
		t.Errorf("two instances were to answer, and %v did", by)
	}
	s.logs("", 0, func(text string) bool { return text == "hello\nbegun\n" })
	s.logs("", 1, func(text string) bool { return text == "hello\nbegun\n" })
	list, err := s.Endpoints(t.Context(), s.Target)
	if err != nil || len(list) != 1 {
		t.Fatalf("endpoints: %+v, %v", list, err)
	}
	if e := list[0]; e.Name != "m" || e.Target != s.Target.Name || e.State != target.Running || e.Live != "d1" || e.URL != s.url || len(e.Instances) != 2 {
		t.Errorf("endpoint: %+v", e)
	}
}

func aScoreFileGetsItsModel(t *testing.T, h Harness) {
	s := h.serve(t)
	model := s.in.Add(t, "weights")
	score := "import os\ndef init():\n    global w\n    w = open(os.environ['AMLFLOW_MODEL']).read()\n    print('loaded')\ndef run(data):\n    return w + str(data) + os.environ['FLAVOUR']\n"
	s.deploy("d1", score, false, func(d *target.Deployment) {
		d.Model, d.Env = model, map[string]string{"FLAVOUR": "it's \"plain\""}
		d.Sample = &target.Sample{Request: []byte("1"), Answer: []byte(`"weights1it's \"plain\""`)}
	})
	s.settle("d1", target.Succeeded)
	s.logs("", 0, func(text string) bool { return text == "loaded\n" })
	s.deploy("d2", score, false, func(d *target.Deployment) {
		d.Model, d.Env = model, map[string]string{"FLAVOUR": "sour"}
		d.Sample = &target.Sample{Request: []byte("1"), Answer: []byte(`"weights1plain"`)}
	})
	if r := s.settle("d2", target.Failed); r.Cause != target.CauseSample || !strings.Contains(r.Reason, "weights1sour") {
		t.Errorf("a wrong answer to the sample: %+v", r)
	}
	if status, text, err := s.ask("2"); err != nil || status != http.StatusOK || !strings.HasPrefix(text, "weights2it's") {
		t.Errorf("the version before answered %d %s, %v", status, text, err)
	}
}

func whatRaisesGoesNotLive(t *testing.T, h Harness) {
	s := h.serve(t)
	s.deploy("d1", "def init():\n    raise ValueError('no such luck')\n"+scoring("d1"), false)
	if r := s.settle("d1", target.Failed); !strings.Contains(r.Log, "Traceback") || !strings.Contains(r.Log, "no such luck") {
		t.Errorf("what init() raised: %+v", r)
	}
	err := s.Router.Deploy(t.Context(), s.Target, target.Deployment{ID: "d2", Endpoint: "m", Run: "r1", Stage: "serve"}, s.in)
	if !errors.Is(err, target.ErrPermanent) {
		t.Errorf("a deployment of nothing: %v", err)
	}
}

func anInstanceThatEndsIsReplaced(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", false, s.run(""))
	if status, _, err := s.ask(`"die"`); err == nil && status == http.StatusOK {
		t.Error("an instance that ended has answered")
	}
	for end := time.Now().Add(s.patience()); ; time.Sleep(20 * time.Millisecond) {
		list, err := s.Endpoints(t.Context(), s.Target)
		if err != nil {
			t.Fatal(err)
		}
		if i := list[0].Instances[0]; i.Restarts > 0 && i.State == target.Running {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it was not replaced: %+v", list)
		}
	}
	s.only("m 0")
	var before string // the request may have been sent more than once
	s.logs("d1", 0, func(text string) bool { before = text; return strings.Count(text, "begun\n") >= 2 })
	s.ready("d2", false, s.run("echo later\n"))
	s.logs("", 0, func(text string) bool { return text == "later\nbegun\n" })
	// What a version has written stays when it stops.
	s.logs("d1", 0, func(text string) bool { return text == before })
}

// whatIsRetiredIsGone also kills what serves, so that another process has to find the
// instances by what is on record.
func whatIsRetiredIsGone(t *testing.T, h Harness) {
	path := h.shared(t, "beats")
	s := h.serve(t)
	s.ready("d1", false, s.run(beats(path)))
	s.killed()
	s.only("m 0")
	if living := beating(t, path); len(living) != 1 {
		t.Errorf("of one instance %d processes are alive", len(living))
	}
	s.retire(path)
	if n := strings.Count(contentOf(t, path), "start "); n != 1 {
		t.Errorf("it was begun %d times", n)
	}
	if r, err := s.Deployed(t.Context(), s.Target, "d1"); err != nil || r.State != target.Lost {
		t.Errorf("what was retired is %+v, %v", r, err)
	}
	if err := s.Retire(t.Context(), s.Target, s.name); err != nil {
		t.Errorf("retired once more: %v", err)
	}
}

// retire removes the endpoint, and waits until no process of it is alive.
func (s *served) retire(path string) {
	s.Helper()
	if err := s.Retire(s.Context(), s.Target, s.name); err != nil {
		s.Fatal(err)
	}
	for end := time.Now().Add(s.patience()); ; time.Sleep(20 * time.Millisecond) {
		list, err := s.Endpoints(s.Context(), s.Target)
		if err != nil {
			s.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		if time.Now().After(end) {
			s.Fatal("the endpoint is still there")
		}
	}
	s.await(path, 0)
}

// await waits until so many processes are alive.
func (s *served) await(path string, want int) {
	s.Helper()
	var got []string
	for end := time.Now().Add(s.patience()); time.Now().Before(end); {
		if got = beating(s.T, path); len(got) == want {
			return
		}
	}
	s.Errorf("%d processes are alive, and not %d: %v", len(got), want, got)
}

// Whatever serves is killed again and again while versions come and go. In the end there
// is one process of the last version, and after it was retired there is none.
func killedAtAnyMomentNothingIsTwice(t *testing.T, h Harness) {
	path := h.shared(t, "beats")
	s := h.serve(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, id := range []string{"d1", "d2"} {
		s.deploy(id, scoring(id), false, s.run(beats(path)))
		for range 3 {
			time.Sleep(time.Duration(random.Int64N(int64(800 * time.Millisecond))))
			h.KillServing(t)
			s.revive()
		}
		s.settle(id, target.Succeeded)
		s.back() // it may have been live before the last kill
		s.only("m 0")
	}
	s.await(path, 1)
	s.retire(path)
}

// beating tells which processes have shown signs of life within a second.
func beating(t *testing.T, path string) []string {
	t.Helper()
	before := len(contentOf(t, path))
	time.Sleep(time.Second)
	seen := map[string]bool{}
	for _, line := range strings.Split(contentOf(t, path)[before:], "\n") {
		if id, ok := strings.CutPrefix(line, "beat "); ok && len(id) == 36 {
			seen[id] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
