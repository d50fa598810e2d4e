package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

func TestBytesGoInAndOut(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", "def run(data):\n    assert type(data) is bytes\n    if data == b'none': return None\n    return data.decode() if data.startswith(b'text') else data[::-1]\n")
	d.Bytes = true
	d.Sample = &target.Sample{Request: []byte(`{}`), Answer: []byte(`"}{"`)}
	url := p.live(d)
	raw := func(r *http.Request) { r.Header.Set("Content-Type", "image/png") }
	for _, c := range []struct {
		body, want string
		status     int
	}{
		{"\x00\xff\x01", "\x01\xff\x00", 200}, {"", "", 200}, {"text ä", "text ä", 200},
		{"none", `{"error": "run(data) returned NoneType: in bytes mode return bytes or a string"}`, 500},
	} {
		if status, text := p.send("POST", url, c.body, raw); status != c.status || text != c.want {
			t.Errorf("%q: got %d %q, want %d %q", c.body, status, text, c.status, c.want)
		}
	}
	if r := p.deployed("d1"); string(r.Answer) != `"}{"` {
		t.Errorf("the answer to the sample is kept as %s", r.Answer)
	}
}

func TestRequestsAreAnsweredInBatches(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", `
import time, amlflow
sizes = []
def run(data):
    sizes.append(len(data))
    amlflow.report("size", len(data))
    if "short" in data: return []
    time.sleep(0.05)
    return [{"v": max(sizes), "data": 1 / x} for x in data]
`)
	d.Sample = nil
	d.Batch = &target.Batching{Max: 4, Wait: 200 * time.Millisecond}
	url := p.live(d)
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			if n == 5 { // a bad one fails alone
				if status, text := p.send("POST", url, "0", nil); status != 500 || !strings.Contains(text, "ZeroDivisionError") {
					t.Errorf("got %d %s", status, text)
				}
				return
			}
			if r := p.ask(url, "4"); string(r.Data) != "0.25" {
				t.Errorf("got %s", r.Data)
			}
		})
	}
	wg.Wait()
	if r := p.ask(url, "1"); string(r.V) != "4" {
		t.Errorf("the largest batch was of %s", r.V)
	}
	if status, text := p.send("POST", url, `"short"`, nil); status != 500 || !strings.Contains(text, "got 1 requests in one list and returned 0") {
		t.Errorf("got %d %s", status, text)
	}
	p.figures("d1", func(f target.Figures) bool { return f.Reported["size"] > 1 && f.Reported["size"] <= 4 })
}

func TestAScoreFileReportsNumbers(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", `
import amlflow
def init():
    amlflow.report("confidence", 100)
def run(data):
    amlflow.report("confidence", data)
    if data == 7: raise ValueError("seven")
    amlflow.report("twice", 1); amlflow.report("twice", 3)
    amlflow.report("odd", float("nan")); amlflow.report("x" * 65, 1); amlflow.report("odd", "no number")
    return {"v": 1}
`)
	d.Sample = nil
	url := p.live(d)
	for _, body := range []string{"0.25", "0.75", "7"} {
		resp, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get(reportHeader); got != "" {
			t.Errorf("the client got to see %s", got)
		}
	}
	f := p.figures("d1", func(f target.Figures) bool { return f.Requests == 3 && f.Errors == 1 })
	if len(f.Reported) != 2 || f.Reported["confidence"] != 0.5 || f.Reported["twice"] != 2 {
		t.Errorf("reported: %v", f.Reported)
	}
	if log := p.logOf(0); strings.Count(log, "is left out") != 2 {
		t.Errorf("the log:\n%s", log)
	}
}

func TestAnEndpointDescribesItself(t *testing.T) {
	p := newPlace(t)
	d := p.wish("d1", "m", answering("1"))
	d.Sample = &target.Sample{Request: []byte(`{"rows": [[1, 2.5]], "name": "x", "flag": true, "none": null, "mixed": [1, "a"]}`)}
	d.Access = target.Keyed
	url := p.live(d)
	if status, text := p.send("GET", url+"/openapi.json", "", nil); status != http.StatusUnauthorized {
		t.Errorf("without a key: %d %s", status, text)
	}
	if status, _ := p.send("GET", url+"/health", "", nil); status != http.StatusOK {
		t.Errorf("its health without a key: %d", status)
	}
	keys, err := p.Keys(t.Context(), "web", "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	with := func(r *http.Request) { r.Header.Set("Authorization", "bearer "+keys[1]) }
	status, text := p.send("GET", url+"/openapi.json", "", with)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema, Example json.RawMessage
				}
			}
			Responses map[string]any
		}
		Components struct{ SecuritySchemes map[string]any }
	}
	if err := json.Unmarshal([]byte(text), &doc); status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", status, err, text)
	}
	post := doc.Paths["/m"]["post"]
	got := string(post.RequestBody.Content["application/json"].Schema)
	want := `{"properties":{"flag":{"type":"boolean"},"mixed":{"items":{},"type":"array"},"name":{"type":"string"},"none":{"type":"null"},"rows":{"items":{"items":{"type":"number"},"type":"array"},"type":"array"}},"required":["flag","mixed","name","none","rows"],"type":"object"}`
	if got != want {
		t.Errorf("the schema of a request is %s", got)
	}
	if doc.OpenAPI != "3.1.0" || post.Responses["401"] == nil || doc.Components.SecuritySchemes["key"] == nil || !strings.Contains(text, `"pid":`) {
		t.Errorf("got %s", text)
	}
	if status, text := p.send("POST", url, "1", with); status != http.StatusOK || strings.Contains(text, keys[1]) {
		t.Errorf("got %d %s", status, text)
	}
}
