package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"
)

// confidential is a request that needs the variable TOKEN of its command.
func confidential(t *testing.T, o engine.Options, p *plan.Plan, key, token string) engine.Request {
	t.Helper()
	for i := range p.Stages {
		p.Stages[i].Secrets = []plan.Secret{{Var: "A", Name: "a", Env: "TOKEN"}}
	}
	sealed, err := engine.GatherSecrets(o.Home, []workers.Secret{{Var: "A", Name: "a", Env: "TOKEN"}}, func(name string) (string, bool) {
		return map[string]string{"TOKEN": token}[name], name == "TOKEN"
	})
	if err != nil {
		t.Fatal(err)
	}
	return engine.Request{Plan: p, Store: o.StoreDir(), Host: map[string]string{"PATH": os.Getenv("PATH")}, Secrets: sealed, Key: key}
}

// many submits at once from several connections, and returns the ids.
func many(t *testing.T, n int, o engine.Options, request func(i int) engine.Request) map[string]bool {
	t.Helper()
	ids, mu, wg := map[string]bool{}, sync.Mutex{}, sync.WaitGroup{}
	engines := []*engine.Engine{open(t, o), open(t, o), open(t, o), open(t, o)}
	for i := range n {
		r := request(i)
		wg.Go(func() {
			id, err := engines[i%len(engines)].Start(t.Context(), r)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
		})
	}
	wg.Wait()
	return ids
}

func TestManySubmitsOfOneKeyAreOneRun(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	starts := filepath.Join(t.TempDir(), "starts")
	script := fmt.Sprintf("echo x >>%s; exit 3", starts)
	request := func(i int) engine.Request { return confidential(t, o, scripts(script), "ci-1", "value") }
	ids := many(t, 50, o, request)
	if len(ids) != 1 {
		t.Fatalf("the runs are %v", ids)
	}
	for id := range ids {
		if p := wait(t, e, id); p.Status != target.Failed || p.Stages[0].Cause != target.CauseExit {
			t.Errorf("got %+v", p)
		}
	}
	// After its end it is the same run, and nothing is run or sealed again.
	for id := range many(t, 8, o, request) {
		if !ids[id] {
			t.Errorf("another run %s", id)
		}
	}
	if b, _ := os.ReadFile(starts); string(b) != "x\n" {
		t.Errorf("the stage was started %d times", len(b)/2)
	}
	if left, err := secrets.Sealed(o.Home); len(left) != 0 || err != nil {
		t.Errorf("envelopes are left: %v, %v", left, err)
	}
}

// Of many that differ, one wins, and the others are told which.
func TestOneKeyForSeveralThings(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := map[string]bool{}, []error(nil)
	for i := range 12 {
		p := scripts("true")
		p.Digest, p.Params = fmt.Sprintf("sha256:%d", i), map[string]any{"rows": i}
		wg.Go(func() {
			id, err := e.Start(t.Context(), engine.Request{Plan: p, Store: o.StoreDir(), Key: "k"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[id] = true
			} else {
				lost = append(lost, err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 || len(lost) != 11 {
		t.Fatalf("%v won, %d lost", won, len(lost))
	}
	for _, err := range lost {
		for id := range won {
			if !errors.Is(err, engine.ErrKeyTaken) || !strings.Contains(err.Error(), "run "+id) || !strings.Contains(err.Error(), "params.rows is") {
				t.Error(err)
			}
		}
	}
}

// A plan that does the same is the same, wherever its lines are.
func TestAKeyDoesNotMindWhereThingsAreWritten(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	one, two := scripts("true"), scripts("true")
	two.Digest, two.Stages[0].At.Line = "sha256:moved", 9
	first, err := e.Start(t.Context(), engine.Request{Plan: one, Store: o.StoreDir(), Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := e.Start(t.Context(), engine.Request{Plan: two, Store: o.StoreDir(), Key: "k"}); again != first || err != nil {
		t.Errorf("got %q, %v, want %q", again, err, first)
	}
}

// A command that was killed after it sealed its secrets, and before the run began,
// leaves an envelope behind. The next one with the key begins the run, with its own.
func TestAnEnvelopeOfACommandThatWasKilled(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	out := filepath.Join(t.TempDir(), "out")
	id, err := e.Start(t.Context(), confidential(t, o, scripts("printf %s \"$A\" >"+out), "other", "x"))
	if err != nil {
		t.Fatal(err)
	}
	wait(t, e, id)
	id = engine.KeyedID(e.Info().Queue, "k", 0)
	if err := confidential(t, o, scripts("true"), "k", "old").Secrets.Seal(o.Home, id); err != nil {
		t.Fatal(err)
	}
	got, err := e.Start(t.Context(), confidential(t, o, scripts("printf %s \"$A\" >"+out), "k", "new"))
	if err != nil || got != id {
		t.Fatalf("got %q, %v, want %q", got, err, id)
	}
	wait(t, e, id)
	if b, _ := os.ReadFile(out); string(b) != "new" {
		t.Errorf("the job had %q", b)
	}
}

// The id that a key asks for may be another run's: then the next one is taken, every
// time.
func TestAKeyWhoseIDIsTaken(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	if err := engine.Occupy(t.Context(), e, engine.KeyedID(e.Info().Queue, "k", 0), scripts("true"), o.StoreDir()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		id, err := e.Start(t.Context(), engine.Request{Plan: scripts("true"), Store: o.StoreDir(), Key: "k"})
		if err != nil || id != engine.KeyedID(e.Info().Queue, "k", 1) {
			t.Errorf("got %q, %v", id, err)
		}
	}
}

func TestAKeyWithAnExternalEngine(t *testing.T) {
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	a := s.Address()
	here, there := options(t, &a, time.Minute), options(t, &a, time.Minute)
	request := func(o engine.Options) func(int) engine.Request {
		return func(int) engine.Request { return confidential(t, o, scripts("true"), "k", "v") }
	}
	one, two := many(t, 8, here, request(here)), many(t, 8, there, request(there))
	if len(one) != 1 || len(two) != 1 {
		t.Errorf("the runs are %v and %v", one, two)
	}
	for id := range one {
		if two[id] {
			t.Error("two state folders have one run")
		}
		wait(t, open(t, here), id)
	}
	for id := range two {
		wait(t, open(t, there), id)
	}
}

func TestCheckKey(t *testing.T) {
	for key, ok := range map[string]bool{"": false, "a": true, "acme/digits 77 ü": true, "a\nb": false, "a\x00": false, "\xff": false, strings.Repeat("x", 200): true, strings.Repeat("x", 201): false} {
		if err := engine.CheckKey(key); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}
}
