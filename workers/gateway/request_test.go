package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

func TestHostileRequestsAreRefused(t *testing.T) {
	p := newPlace(t)
	url := p.live(p.wish("d1", "m", answering("1")))
	base := strings.TrimSuffix(url, "/m")
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	cases := []struct {
		method, url, body string
		alter             func(*http.Request)
		status            int
		words             string
	}{
		{"POST", url, "1", host("localhost:1"), 200, `"v": 1`},
		{"POST", url, "1", host("[::1]:8467"), 200, `"v": 1`},
		{"POST", url, "1", host("LOCALHOST"), 200, `"v": 1`},
		{"POST", url, "1", host("evil.example"), 403, "is not served here"},
		{"GET", base + "/", "", host("127.0.0.1.evil.example:8467"), 403, "is not served here"},
		{"GET", url, "", host("localhost.evil.example"), 403, "is not served here"},
		{"POST", url, "1", header("Origin", "http://evil.example"), 403, "another origin"},
		{"POST", url, "1", header("Sec-Fetch-Site", "cross-site"), 403, "another origin"},
		{"GET", base + "/", "", nil, 200, `"endpoint":"m"`},
		{"POST", base + "/", "1", nil, 405, "POST to /NAME"},
		{"POST", base + "/other", "1", nil, 404, `there is no endpoint \"other\"; there is m`},
		{"POST", base + "/..%2fm", "1", nil, 400, "may not hold"},
		{"POST", base + "/m/..%2f..%2fx", "1", nil, 400, `may not hold`},
		{"GET", base + "/m/../../etc/passwd", "", nil, 400, `may not hold`},
		{"POST", base + "//m", "1", nil, 404, "there is no endpoint"},
		{"POST", url, strings.Repeat(" ", bodyLimit+1), nil, 413, "at most 33554432 bytes"},
		{"POST", url, strings.Repeat(" ", bodyLimit+1), func(r *http.Request) { r.ContentLength = -1 }, 413, "at most 33554432 bytes"},
		{"POST", url, "1", header("X-Long", strings.Repeat("x", 2*maxHeader)), 431, ""},
	}
	for _, c := range cases {
		status, text := p.send(c.method, c.url, c.body, c.alter)
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s %s: %d %.200s, want %d %s", c.method, c.url, status, text, c.status, c.words)
		}
	}
}

func TestHostileDeploymentsAreRefused(t *testing.T) {
	p := newPlace(t)
	cases := map[string]func(*target.Deployment){
		"dots":      func(d *target.Deployment) { d.Endpoint = ".." },
		"slash":     func(d *target.Deployment) { d.Endpoint = "a/b" },
		"empty":     func(d *target.Deployment) { d.Endpoint = "" },
		"upper":     func(d *target.Deployment) { d.Endpoint = "M" },
		"newline":   func(d *target.Deployment) { d.Endpoint = "m\n" },
		"long":      func(d *target.Deployment) { d.Endpoint = strings.Repeat("m", 64) },
		"id":        func(d *target.Deployment) { d.ID = "../d1" },
		"dot id":    func(d *target.Deployment) { d.ID = ".." },
		"outside":   func(d *target.Deployment) { d.Score = "../score.py" },
		"absolute":  func(d *target.Deployment) { d.Score = "/etc/score.py" },
		"both":      func(d *target.Deployment) { d.Script = "true" },
		"neither":   func(d *target.Deployment) { d.Score = "" },
		"health":    func(d *target.Deployment) { d.Health = "health" },
		"user info": func(d *target.Deployment) { d.Path = "@evil.example/" },
		"too many":  func(d *target.Deployment) { d.Instances = 10_000 },
	}
	for name, alter := range cases {
		d := p.wish("d1", "m", answering("1"))
		alter(&d)
		if err := p.Deploy(t.Context(), target.Target{Name: "web", Kind: "local"}, d, p.blobs); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"..", "../..", "", "a/b", "."} {
		if err := p.Retire(t.Context(), "web", name); err != nil {
			t.Errorf("retire %q: %v", name, err)
		}
	}
	if r := p.deployed("../endpoints"); r.State != target.Lost {
		t.Errorf("rollout: %+v", r)
	}
	if names, err := p.names(); len(names) > 0 || err != nil {
		t.Errorf("endpoints: %v, %v", names, err)
	}
}

func TestSameJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`{"a": 1, "b": [2]}`, `{"b":[2.0],"a":1e0}`, true},
		{`0`, `-0`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`[1, 2]`, `[2, 1]`, false},
		{`{"a": null}`, `{}`, false},
		{`{"a": null}`, `{"b": null}`, false},
		{`"1"`, `1`, false},
		{`"\u00e4"`, `"ä"`, true},
		{`true`, `1`, false},
		{`1e999999999`, `1e999999998`, false},
		{`null`, `false`, false},
	} {
		if got := sameJSON([]byte(c.a), []byte(c.b)); got != c.same {
			t.Errorf("%s and %s: %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

func FuzzSameJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, 2.5, "x", null, true]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		compact, err := json.Marshal(json.RawMessage(text))
		if err != nil || strings.Contains(string(text), "e") || strings.Contains(string(text), "E") {
			return // numbers too large for a double are like no other
		}
		if !sameJSON(text, compact) {
			t.Errorf("%s differs from itself as %s", text, compact)
		}
	})
}
