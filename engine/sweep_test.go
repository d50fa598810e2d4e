package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/secrets"
)

// The start of a run takes along the envelopes of those that are over: of one
// that ended and could not remove its own, and of one that never began.
func TestEnvelopesOfRunsThatAreOver(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	begin := func(script string) string {
		t.Helper()
		envelope, err := engine.GatherSecrets(o.Home, []workers.Secret{{Var: "A", Name: "a", Env: "TOKEN"}}, func(name string) (string, bool) {
			return map[string]string{"TOKEN": "value"}[name], name == "TOKEN"
		})
		if err != nil {
			t.Fatal(err)
		}
		id, err := e.Start(t.Context(), engine.Request{Plan: scripts(script), Store: o.StoreDir(), Host: map[string]string{"PATH": os.Getenv("PATH")}, Secrets: envelope})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	over := begin("true")
	wait(t, e, over)
	running := begin("sleep 300")
	old, young := &secrets.Envelope{Key: "x"}, &secrets.Envelope{Key: "x"}
	if err := old.Seal(o.Home, "old"); err != nil {
		t.Fatal(err)
	}
	if err := young.Seal(o.Home, "young"); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(o.Home, "secrets", "old.age"), past, past); err != nil {
		t.Fatal(err)
	}
	last := begin("true")
	left, err := secrets.Sealed(o.Home)
	for run, want := range map[string]bool{over: false, "old": false, "young": true, running: true} {
		if _, got := left[run]; got != want || err != nil {
			t.Errorf("the envelope of %s is there: %v, want %v (%v)", run, got, want, err)
		}
	}
	wait(t, e, last)
	if err := e.Cancel(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	wait(t, e, running)
}
