package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

const fullScore = `
import os, helper
print("loading")
def init():
    global model
    model = open(os.environ["AMLFLOW_MODEL"]).read()
    print("model", model)
def run(data):
    print("asked", data)
    if data == "raise":
        raise ValueError("no such digit")
    if data == "set":
        return {1, 2}
    if data == "nan":
        return float("nan")
    return {"v": model, "data": helper.twice(data)}
`

func (p *place) blob(text string) target.Ref {
	ref, err := p.blobs.Put(p.Context(), strings.NewReader(text))
	if err != nil {
		p.Fatal(err)
	}
	return ref
}

func TestAScoreFileIsServed(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "")
	d.Code = p.code("score.py", fullScore, "helper.py", "def twice(x): return [x, x]\n")
	d.Model = p.blob("weights")
	url := p.live(d)

	for _, u := range []string{url, url + "/score", url + "/score?a=1"} {
		if r := p.ask(u, `"ä"`); string(r.V) != `"weights"` || string(r.Data) != `["\u00e4", "\u00e4"]` {
			t.Errorf("%s answered %+v", u, r)
		}
	}
	if r := p.deployed("d1"); !strings.Contains(string(r.Answer), `"weights"`) {
		t.Errorf("the answer to the sample is not kept: %+v", r)
	}
	log := p.logOf(0)
	for _, want := range []string{"loading\nmodel weights\nasked {'x': 1}\n", "asked ä\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestAScoreFileRefusesInWords(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "")
	d.Code = p.code("score.py", fullScore, "helper.py", "def twice(x): return [x, x]\n")
	d.Model = p.blob("weights")
	url := p.live(d)
	cases := []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"POST", "", `"raise"`, 500, "ValueError: no such digit"},
		{"POST", "", `"set"`, 500, "what run(data) returned is not JSON"},
		{"POST", "", `"nan"`, 500, "finite numbers"},
		{"POST", "", `{"x":`, 400, "the body is not JSON"},
		{"POST", "", "", 400, "the body is not JSON"},
		{"POST", "/other", "1", 404, "POST /score"},
		{"GET", "/health", "", 200, "ready"},
		{"GET", "", "", 200, "curl"},
		{"GET", "/other", "", 404, "GET /health"},
		{"POST", "", `"` + strings.Repeat("a", 2<<20) + `"`, 200, "aaa"}, // too long to be held
	}
	for _, c := range cases {
		if status, text := p.send(c.method, url+c.path, c.body, nil); status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s %s %.20s: %d %.200s, want %d %s", c.method, c.path, c.body, status, text, c.status, c.words)
		}
	}
	if log := p.logOf(0); !strings.Contains(log, `raise ValueError("no such digit")`) {
		t.Errorf("the log lacks the traceback:\n%s", log)
	}
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	for _, size := range []int{10, 2 << 20} {
		if status, text := p.send("POST", url, `"`+strings.Repeat("b", size)+`"`, chunked); status != 200 {
			t.Errorf("a chunked body of %d bytes: %d %.200s", size, status, text)
		}
	}
}

func TestInitIsOptional(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Sample = nil
	if r := p.ask(p.live(d), "5"); string(r.Data) != "5" {
		t.Errorf("answered %+v", r)
	}
}

// tableServer is any HTTP server, as a script starts it.
const tableServer = `
cat >server.py <<'END'
import http.server, json, os, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/stream":
            self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            self.wfile.write(b"3\r\none\r\n"); self.wfile.flush()
            while not os.path.exists(os.environ["GO_ON"]): time.sleep(0.01)
            self.wfile.write(b"3\r\ntwo\r\n0\r\n\r\n")
            return
        self.say(json.dumps({"path": self.path, "env": dict(os.environ)}))
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"])); self.say('{"v": 7, "path": "%s"}' % self.path)
    def say(self, text):
        b = text.encode(); self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
END
exec python3 server.py
`

func script(p *place, id, text string) target.Deployment {
	d := p.wish(id, "m", "")
	d.Score, d.Script, d.Code = "", text, ""
	return d
}

func TestAnyServerIsServed(t *testing.T) {
	t.Setenv("UNDECLARED", "leak")
	p := newSerialPlace(t)
	d := script(p, "d1", tableServer)
	d.Health, d.Path = "/up", "/v1/predict"
	d.Sample = &target.Sample{Request: []byte("1"), Answer: []byte(`{"path": "/v1/predict", "v": 7.0}`)}
	d.Env = map[string]string{"ODD": "a'b\n\"ü\" $HOME", "PORT": "1", "GO_ON": filepath.Join(t.TempDir(), "go")}
	url := p.live(d)
	if _, text := p.send("POST", url, "1", nil); text != `{"v": 7, "path": "/v1/predict"}` {
		t.Errorf("the endpoint itself answered %s", text)
	}
	_, text := p.send("GET", url+"/a%2Fb/c?q=1", "", nil)
	for _, want := range []string{`"path": "/a%2Fb/c?q=1"`, `"AMLFLOW_ENDPOINT": "m"`, `"ODD": "a'b\n\"\u00fc\" $HOME"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "UNDECLARED") || strings.Contains(text, gatewayDir) {
		t.Errorf("the environment of others leaks: %s", text)
	}
	resp, err := http.Get(url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	part := make([]byte, 3)
	if _, err := resp.Body.Read(part); err != nil || string(part) != "one" {
		t.Errorf("the stream began with %q, %v", part, err)
	}
	if err := os.WriteFile(d.Env["GO_ON"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(part); string(part) != "two" {
		t.Errorf("the stream went on with %q, %v", part, err)
	}
}
