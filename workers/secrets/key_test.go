package secrets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The store of one computer is opened on another with the key it was made with,
// by a worker that knows nothing of it: the key comes along with the run.
func TestKeyOfTheCommand(t *testing.T) {
	noKeys(t)
	dir, here, there := t.TempDir(), t.TempDir(), t.TempDir()
	store := Store{Home: here, Path: StoreFile(dir)}
	store.set(t, "token", "the value")
	refs := []Ref{{Var: "A", Name: "token", Store: store.Path}}
	if _, err := Gather(there, refs, lookup(nil)); err == nil || !strings.Contains(err.Error(), KeyFileVar) {
		t.Fatalf("got %v, want what to set", err)
	}
	text, err := os.ReadFile(KeyFile(here))
	if err != nil {
		t.Fatal(err)
	}
	for n, env := range []map[string]string{{KeyVar: string(text)}, {KeyFileVar: KeyFile(here)}} {
		run := []string{"run0", "run1"}[n]
		e, err := Gather(there, refs, lookup(env))
		if err != nil || e == nil {
			t.Fatalf("got %v, %v", e, err)
		}
		if err := e.Seal(there, run); err != nil {
			t.Fatal(err)
		}
		if got, err := Resolve(t.Context(), there, run, refs); err != nil || got["A"] != "the value" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := Resolve(t.Context(), there, "run2", refs); err == nil {
		t.Error("another run had the key, too")
	}
	secret := text[strings.Index(string(text), "AGE-SECRET"):]
	nowhere(t, string(secret), there)
}

// A key of the variables is the one that a store is written with, and what the
// state folder's key had encrypted is read all the same.
func TestKeyOfTheVariables(t *testing.T) {
	noKeys(t)
	home, ci := t.TempDir(), t.TempDir()
	s := Store{Home: home, Path: StoreFile(t.TempDir())}
	s.set(t, "old", "one")
	if _, err := madeKey(ci); err != nil {
		t.Fatal(err)
	}
	t.Setenv(KeyFileVar, KeyFile(ci))
	s.set(t, "new", "two")
	t.Setenv(KeyFileVar, "")
	if _, err := s.Names(); err == nil {
		t.Error("it is not encrypted to the key of the variable")
	}
	text, err := os.ReadFile(KeyFile(ci))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(KeyVar, string(text))
	if names, err := s.Names(); err != nil || len(names) != 2 {
		t.Errorf("got %q, %v", names, err)
	}
}

func TestBadKeys(t *testing.T) {
	noKeys(t)
	home := t.TempDir()
	s := Store{Home: home, Path: StoreFile(t.TempDir())}
	s.set(t, "a", "value")
	for _, text := range []string{"AGE-SECRET-KEY-1HIDDEN", "hidden", "# nothing"} {
		t.Setenv(KeyVar, text)
		if err := s.Set(t.Context(), "a", "x"); err == nil || strings.Contains(strings.ToLower(err.Error()), "hidden") || !strings.Contains(err.Error(), KeyVar) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	t.Setenv(KeyVar, "")
	if err := os.Chmod(KeyFile(home), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Names(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+KeyFile(home)) {
		t.Errorf("got %v", err)
	}
	t.Setenv(KeyFileVar, filepath.Join(home, "none"))
	if _, err := s.Names(); err == nil || !strings.Contains(err.Error(), "$"+KeyFileVar) {
		t.Errorf("got %v", err)
	}
}
