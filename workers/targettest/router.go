package targettest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

var routerQuestions = []question{
	{"WhatIsHeldTakesNoRequests", whatIsHeldTakesNoRequests},
	{"SplitsAreIdempotent", splitsAreIdempotent},
	{"SplitsNameWhatIsReady", splitsNameWhatIsReady},
	{"FiguresAddUp", figuresAddUp},
	{"RoutingOutlivesItsProcesses", routingOutlivesItsProcesses},
	{"KeysAreMadeOnceAndRotate", keysAreMadeOnceAndRotate},
}

// served is an endpoint under examination.
type served struct {
	*testing.T
	Harness
	target.Router
	name string
	url  string
	key  string
	in   *Blobs
}

// serve skips the test unless the target is one of a Router that serves here.
func (h Harness) serve(t *testing.T) *served {
	t.Helper()
	r, ok := h.Driver.(target.Router)
	if !ok || !h.Driver.Can(h.Target).Route {
		t.Skip("SKIP: this target is none of a target.Router: it splits no requests")
	}
	if h.KillServing == nil {
		t.Skip("SKIP: nothing serves endpoints here")
	}
	s := &served{T: t, Harness: h, Router: r, name: "m", in: &Blobs{}}
	t.Cleanup(func() {
		if err := r.Retire(context.Background(), h.Target, s.name); err != nil {
			t.Error(err)
		}
	})
	return s
}

// scoring answers with its own name, or raises when it is asked to.
func scoring(id string) string {
	return fmt.Sprintf("def run(data):\n    if data == 'raise':\n        raise ValueError('as asked')\n    return %q\n", id)
}

func (s *served) deploy(id, score string, held bool, alter ...func(*target.Deployment)) {
	s.Helper()
	dir := s.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "score.py"), []byte(score), 0o600); err != nil {
		s.Fatal(err)
	}
	code, err := target.PutTree(s.Context(), s.in, dir, nil)
	if err != nil {
		s.Fatal(err)
	}
	d := target.Deployment{ID: id, Endpoint: s.name, Run: "r1", Stage: "serve", Score: "score.py", Code: code, Host: s.Host, Instances: 1, Ready: s.patience()}
	d.Held = held
	for _, a := range alter {
		a(&d)
	}
	if err := s.Router.Deploy(s.Context(), s.Target, d, s.in); err != nil {
		s.Fatal(err)
	}
}

// ready deploys, and waits until the deployment is ready.
func (s *served) ready(id string, held bool, alter ...func(*target.Deployment)) {
	s.Helper()
	s.deploy(id, scoring(id), held, alter...)
	s.settle(id, target.Succeeded)
}

// settle waits until a rollout has ended in the state, and keeps where it answers.
func (s *served) settle(id string, want target.State) target.Rollout {
	s.Helper()
	for end := time.Now().Add(s.patience()); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := s.Deployed(s.Context(), s.Target, id)
		if err != nil {
			s.Fatal(err)
		}
		if r.State == target.Succeeded {
			s.url = r.URL
		}
		if r.State == want {
			return r
		}
		if r.State.Ended() {
			s.Fatalf("deployment %s: %+v", id, r)
		}
	}
	s.Fatalf("the rollout of %s never ended", id)
	return target.Rollout{}
}

func (s *served) split(id string, keep []string, shares ...target.Share) {
	s.Helper()
	if err := s.try(id, keep, shares...); err != nil {
		s.Fatal(err)
	}
}

func (s *served) try(id string, keep []string, shares ...target.Share) error {
	return s.Split(s.Context(), s.Target, target.Split{ID: id, Endpoint: s.name, Shares: shares, Keep: keep, Run: "r1", Why: "the exam says so"})
}

func all(id string) target.Share { return target.Share{Deployment: id, Weight: 100} }

// ask sends one request and returns the status and the answer, without quotes.
func (s *served) ask(body string) (int, string, error) {
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(bytes.Trim(text, "\"\n")), err
}

// answers sends n requests and returns how many each version has answered.
func (s *served) answers(n int) map[string]int {
	s.Helper()
	by := map[string]int{}
	for range n {
		status, text, err := s.ask("1")
		if err != nil || status != http.StatusOK {
			s.Fatalf("a request was answered with %d %s, %v", status, text, err)
		}
		by[text]++
	}
	return by
}

func (s *served) only(id string) {
	s.Helper()
	if by := s.answers(20); by[id] != 20 {
		s.Errorf("all requests belong to %s, and %v answered", id, by)
	}
}

// figures waits until the figures of a version are as they should be.
func (s *served) figures(id string, want func(target.Figures) bool) target.Figures {
	s.Helper()
	var f target.Figures
	for end := time.Now().Add(s.patience()); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if f, err = s.Measured(s.Context(), s.Target, s.name, id, time.Time{}); err != nil {
			s.Fatal(err)
		}
		if want(f) {
			return f
		}
	}
	s.Errorf("the figures of %s never became right: %+v", id, f)
	return f
}

func whatIsHeldTakesNoRequests(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", false)
	s.ready("d2", true)
	s.only("d1")
	s.split("s1", []string{"d1"}, all("d2"))
	s.only("d2")
	s.split("s2", []string{"d2"}, all("d1"), target.Share{Deployment: "d2"})
	s.only("d1")
	s.ready("d3", false) // brings back the rule of target.Server
	s.only("d3")
	if err := s.try("s3", nil, all("d1")); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("a version that was replaced can have requests again: %v", err)
	}
}

func splitsAreIdempotent(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", true)
	s.ready("d2", true)
	s.split("s1", []string{"d2"}, all("d1"))
	s.split("s2", []string{"d1"}, all("d2"))
	s.split("s1", []string{"d2"}, all("d1"))
	s.only("d2")
	changes, err := s.Changes(t.Context(), s.Target, s.name)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, c := range changes {
		id := c.Deployment
		if c.Split != nil {
			id = c.Split.ID
		}
		what = append(what, c.What+" "+id)
		if c.At.IsZero() || c.Why == "" || c.Run != "r1" {
			t.Errorf("a change without when, why or who: %+v", c)
		}
	}
	if want := []string{"deploy d1", "deploy d2", "split s1", "split s2"}; !slices.Equal(what, want) {
		t.Errorf("the changes are %q, want %q", what, want)
	}
}

func splitsNameWhatIsReady(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", false)
	s.deploy("d2", "import time\ndef init(): time.sleep(600)\n"+scoring("d2"), true)
	for n, id := range []string{"d2", "unknown", "../d1", ""} {
		if err := s.try(fmt.Sprintf("s%d", n), []string{"d1"}, all(id)); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("a split that names %q: got %v, want a permanent error", id, err)
		}
		if err := s.try(fmt.Sprintf("k%d", n), []string{id}, all("d1")); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("a split that keeps %q: got %v, want a permanent error", id, err)
		}
	}
	for n, shares := range [][]target.Share{nil, {{Deployment: "d1"}}, {{Deployment: "d1", Weight: -1}}, {all("d1"), all("d1")}} {
		if err := s.try(fmt.Sprintf("w%d", n), nil, shares...); !errors.Is(err, target.ErrPermanent) {
			t.Errorf("shares %+v: got %v, want a permanent error", shares, err)
		}
	}
	s.only("d1")
	if err := s.Withdraw(t.Context(), s.Target, "d2"); err != nil {
		t.Error(err)
	}
}

func figuresAddUp(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", true)
	s.ready("d2", true)
	s.split("s1", nil, target.Share{Deployment: "d1", Weight: 30}, target.Share{Deployment: "d2", Weight: 10})
	by := s.answers(200)
	if by["d1"] != 150 || by["d2"] != 50 {
		t.Errorf("of 200 requests 3/4 belong to d1: %v", by)
	}
	for range 4 {
		if status, text, err := s.ask(`"raise"`); err != nil || status != http.StatusInternalServerError {
			t.Errorf("got %d %s, %v", status, text, err)
		}
	}
	one := s.figures("d1", func(f target.Figures) bool { return f.Requests == 153 })
	two := s.figures("d2", func(f target.Figures) bool { return f.Requests == 51 })
	if one.Errors != 3 || two.Errors != 1 {
		t.Errorf("4 requests failed, and the figures are %+v and %+v", one, two)
	}
	if !(0 < one.P50 && one.P50 <= one.P95 && one.P95 <= one.P99) || one.From.IsZero() || one.Rejected != 0 {
		t.Errorf("the figures of d1: %+v", one)
	}
	later := time.Now().Add(time.Hour)
	if f, err := s.Measured(t.Context(), s.Target, s.name, "d1", later); err != nil || f.Requests != 0 || f.P99 != 0 {
		t.Errorf("since a moment to come: %+v, %v", f, err)
	}
	if _, err := s.Measured(t.Context(), s.Target, s.name, "unknown", time.Time{}); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("the figures of nobody: %v", err)
	}
}

func routingOutlivesItsProcesses(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", true)
	s.ready("d2", true)
	s.split("s1", []string{"d1"}, all("d2"))
	s.answers(30)
	s.figures("d2", func(f target.Figures) bool { return f.Requests == 30 })
	before, err := s.Changes(t.Context(), s.Target, s.name)
	if err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 2; round++ {
		s.killed()
		s.only("d2")
		s.figures("d2", func(f target.Figures) bool { return f.Requests == int64(30+21*round) && f.Errors == 0 })
	}
	after, err := s.Changes(t.Context(), s.Target, s.name)
	if a, b := marshal(t, before), marshal(t, after); err != nil || a != b {
		t.Errorf("the history was %s and is %s, %v", a, b, err)
	}
	s.split("s2", nil, all("d1"))
	s.only("d1")
}

// killed kills what serves, and returns once it is back and has answered a request.
func (s *served) killed() {
	s.Helper()
	s.KillServing(s.T)
	s.revive()
	s.back()
}

// revive looks at what was killed, which brings it back.
func (s *served) revive() {
	s.Helper()
	if _, err := s.Endpoints(s.Context(), s.Target); err != nil {
		s.Fatal(err)
	}
}

// back waits until what was killed has answered a request.
func (s *served) back() {
	s.Helper()
	for end := time.Now().Add(s.patience()); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if status, _, err := s.ask("1"); err == nil && status == http.StatusOK {
			return
		}
	}
	s.Fatal("what serves never came back")
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keysAreMadeOnceAndRotate(t *testing.T, h Harness) {
	s := h.serve(t)
	s.ready("d1", false)
	if _, err := s.Keys(t.Context(), s.Target, s.name, 0); !errors.Is(err, target.ErrPermanent) {
		t.Errorf("an endpoint that asks for none has keys: %v", err)
	}
	s.ready("d2", false, func(d *target.Deployment) { d.Access = target.Keyed })
	keys, err := s.Keys(t.Context(), s.Target, s.name, 0)
	if err != nil || keys[0] == keys[1] || len(keys[0]) < 32 || len(keys[1]) < 32 {
		t.Fatalf("the keys are of %d and %d letters, %v", len(keys[0]), len(keys[1]), err)
	}
	if again, err := s.Keys(t.Context(), s.Target, s.name, 0); err != nil || again != keys {
		t.Errorf("the keys changed by themselves, %v", err)
	}
	opens := func(key string, want int) {
		t.Helper()
		s.key = key
		if status, text, err := s.ask("1"); err != nil || status != want {
			t.Errorf("got %d %s, %v; want %d", status, text, err, want)
		}
	}
	opens("", http.StatusUnauthorized)
	opens(keys[0]+"x", http.StatusUnauthorized)
	opens(keys[0], http.StatusOK)
	opens(keys[1], http.StatusOK)
	rotated, err := s.Keys(t.Context(), s.Target, s.name, 1)
	if err != nil || rotated[0] == keys[0] || rotated[1] != keys[1] {
		t.Errorf("the first key was to be replaced, and the second to stay: %v", err)
	}
	opens(keys[0], http.StatusUnauthorized)
	opens(keys[1], http.StatusOK)
	opens(rotated[0], http.StatusOK)
}
