package gateway

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

func (p *place) split(s target.Split) {
	p.Helper()
	s.Endpoint = "m"
	if err := p.Split(p.Context(), "web", s); err != nil {
		p.Fatal(err)
	}
}

func (p *place) ready(d target.Deployment) {
	p.Helper()
	p.deploy(d)
	if r := p.settle(d.ID); r.State != target.Succeeded {
		p.Fatalf("rollout of %s: %+v", d.ID, r)
	}
}

func TestAMirrorAnswersBesideAndIsCompared(t *testing.T) {
	p := newPlace(t)
	live := p.wish("d1", "m", "def run(data):\n    return {'v': data, 'odd': data % 2, 'text': 'same'}\n")
	live.Sample = nil
	url := p.live(live)
	// It agrees on even numbers, about; raises on 5; and says its own.
	d := p.wish("d2", "m", "def run(data):\n    if data == 5: raise ValueError('five')\n    return {'text': 'same', 'odd': 0, 'v': data * 1.0001}\n")
	d.Held, d.Sample = true, nil
	p.ready(d)
	p.split(target.Split{ID: "s1", Shares: []target.Share{{Deployment: "d1", Weight: 1}}, Mirror: "d2", MirrorPercent: 100, Tolerance: 1e-3})
	for n := range 10 {
		if r := p.ask(url, fmt.Sprint(n)); string(r.V) != fmt.Sprint(n) {
			t.Errorf("asked %d, the client got %s", n, r.V)
		}
	}
	p.figures("d2", func(f target.Figures) bool {
		return f.Requests == 10 && f.Errors == 1 && f.Compared == 9 && f.Agreed == 5
	})
	p.figures("d1", func(f target.Figures) bool { return f.Requests == 10 && f.Errors == 0 && f.Compared == 0 })

	p.split(target.Split{ID: "s2", Shares: []target.Share{{Deployment: "d1", Weight: 1}}, Mirror: "d2", MirrorPercent: 25})
	for range 40 {
		p.ask(url, "0")
	}
	p.figures("d2", func(f target.Figures) bool { return f.Requests == 20 && f.Agreed == 15 })
}

// A mirror that hangs, or is dead, is nothing that a client notices.
func TestAMirrorDelaysNobody(t *testing.T) {
	p := newPlace(t)
	mark := filepath.Join(t.TempDir(), "go")
	url := p.live(p.wish("d1", "m", answering("1")))
	d := p.wish("d2", "m", blocking(filepath.Join(t.TempDir(), "begun"), mark))
	d.Held = true
	p.ready(d)
	p.split(target.Split{ID: "s1", Shares: []target.Share{{Deployment: "d1", Weight: 1}}, Mirror: "d2", MirrorPercent: 100})
	for range 2 * maxCopies { // were they waited for, this would never end
		p.ask(url, "1")
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := p.figures("d2", func(f target.Figures) bool { return f.Requests > 0 && f.Requests == f.Compared })
	if f.Requests > 2*maxCopies || f.Agreed != 0 {
		t.Errorf("got %+v", f)
	}
	p.figures("d1", func(f target.Figures) bool { return f.Requests == 2*maxCopies })
}

func TestSameAnswer(t *testing.T) {
	for _, c := range []struct {
		a, b      string
		tolerance float64
		same      bool
	}{
		{`{"a": 1, "b": [2]}`, `{"b":[2.0],"a":1}`, 0, true},
		{`[1.0, 2]`, `[1.009, 2]`, 0.01, true},
		{`[1.0, 2]`, `[1.02, 2]`, 0.01, false},
		{`[-1]`, `[1]`, 0.5, false},
		{`0`, `0.001`, 0.5, false},
		{`{"label": "a"}`, `{"label": "b"}`, 1, false},
		{`1 2`, `1 3`, 0, false},
		{"\x00\x01", "\x00\x01", 0, true},
		{"\x00\x01", "\x00\x02", 1, false},
		{"", "", 0, true},
		{"", "null", 0, false},
	} {
		if got := sameAnswer([]byte(c.a), []byte(c.b), c.tolerance); got != c.same {
			t.Errorf("%q and %q within %v: %v, want %v", c.a, c.b, c.tolerance, got, c.same)
		}
	}
}

func TestAHeaderDecidesWhoAnswers(t *testing.T) {
	p := newPlace(t)
	url := p.live(p.wish("d1", "m", answering("1")))
	d := p.wish("d2", "m", answering("2"))
	d.Held = true
	p.ready(d)
	p.split(target.Split{ID: "s1", Sticky: "X-User", Shares: []target.Share{{Deployment: "d1", Weight: 50}, {Deployment: "d2", Weight: 50}}})
	by := map[string]int{}
	for user := range 20 {
		as := func(r *http.Request) { r.Header.Set("x-user", fmt.Sprint(user)) }
		_, first := p.send("POST", url, "0", as)
		for range 3 {
			if _, again := p.send("POST", url, "0", as); again[:8] != first[:8] {
				t.Fatalf("user %d got %s and %s", user, first, again)
			}
		}
		by[first[:8]]++
	}
	if len(by) != 2 {
		t.Errorf("the users are shared as %v", by)
	}
	by = map[string]int{}
	for range 20 {
		_, text := p.send("POST", url, "0", nil)
		by[text[:8]]++
	}
	if len(by) != 2 {
		t.Errorf("requests without the header are shared as %v", by)
	}
}

func TestWhenAVersionIsDownAnotherAnswers(t *testing.T) {
	p := newPlace(t)
	mark := filepath.Join(t.TempDir(), "broken")
	url := p.live(p.wish("d1", "m", answering("1")))
	d := p.wish("d2", "m", answering("2")+fmt.Sprintf("if os.path.exists(%q): raise SystemExit('broken')\n", mark))
	d.Held = true
	p.ready(d)
	p.split(target.Split{ID: "s1", Shares: []target.Share{{Deployment: "d1", Weight: 50}, {Deployment: "d2", Weight: 50}}})
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for n := 0; pid == 0 && n < 2; n++ {
		if r := p.ask(url, "0"); string(r.V) == "2" {
			pid = r.PID
		}
	}
	kill(t, pid)
	for range 50 {
		p.ask(url, "0") // fails the test unless it is answered
	}
	// The version that was down is charged with it.
	p.figures("d2", func(f target.Figures) bool { return f.Errors >= 20 && f.Requests >= f.Errors })
	p.figures("d1", func(f target.Figures) bool { return f.Requests >= 50 && f.Errors == 0 })
	for _, v := range p.only().Versions {
		if v.Weight != 0.5 || (v.State == target.Running) != (v.Deployment == "d1") || v.Deployment == "d2" && !strings.Contains(v.Reason, "ended by") {
			t.Errorf("version: %+v", v)
		}
	}
}
