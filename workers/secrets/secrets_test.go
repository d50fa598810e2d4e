package secrets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// noKeys keeps the variables of whoever runs the tests out of them.
func noKeys(t *testing.T) {
	t.Setenv(KeyVar, "")
	t.Setenv(KeyFileVar, "")
}

func (s Store) set(t *testing.T, name, value string) {
	t.Helper()
	if err := s.Set(t.Context(), name, value); err != nil {
		t.Fatal(err)
	}
}

// All bytes that a variable can have arrive.
func TestEveryPlace(t *testing.T) {
	noKeys(t)
	var hostile strings.Builder
	for b := 1; b < 256; b++ {
		hostile.WriteByte(byte(b))
	}
	home, dir := filepath.Join(t.TempDir(), "home"), t.TempDir()
	t.Setenv("HOME", dir)
	store := Store{Home: home, Path: StoreFile(dir)}
	store.set(t, "stored", hostile.String())
	refs := []Ref{
		{Var: "A", Name: "stored", Store: store.Path},
		{Var: "B", Name: "filed", File: write(t, dir+"/key", "line\nline\n\n", 0o600)},
		{Var: "C", Name: "at-home", File: "~/" + filepath.Base(write(t, dir+"/crlf", "text\r\n", 0o600))},
		{Var: "D", Name: "variable", Env: "TOKEN"},
	}
	e, err := Gather(home, refs, lookup(map[string]string{"TOKEN": hostile.String() + "\n", "OTHER": "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Seal(home, "run1"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": hostile.String(), "B": "line\nline\n", "C": "text", "D": hostile.String() + "\n"}
	for range 2 {
		got, err := Resolve(t.Context(), home, "run1", refs)
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	keptPrivate(t, home)
	nowhere(t, hostile.String(), home, dir+"/.amlflow")
}

func nowhere(t *testing.T, value string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			text, _ := os.ReadFile(path)
			if bytes.Contains(text, []byte(value)) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString([]byte(value)))) {
				t.Errorf("%s holds the value", path)
			}
			return err
		})
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	noKeys(t)
	home, dir := t.TempDir(), t.TempDir()
	store := Store{Home: home, Path: StoreFile(dir)}
	store.set(t, "other", "a-value-of-another")
	for _, c := range []struct {
		ref  Ref
		want string
	}{
		{Ref{Name: "s1", Env: "TOKEN"}, `"TOKEN" is not known: there is no "` + home},
		{Ref{Name: "s1", File: dir + "/none"}, dir + "/none: no such file"},
		{Ref{Name: "s1", File: "relative"}, `must be absolute`},
		{Ref{Name: "s1", File: dir}, "not a regular file"},
		{Ref{Name: "s1", File: write(t, dir+"/open", "hidden", 0o640)}, "chmod 600"},
		{Ref{Name: "s1", File: write(t, dir+"/empty", "\n", 0o600)}, "empty"},
		{Ref{Name: "s1", File: write(t, dir+"/nul", "hid\x00den", 0o600)}, "NUL"},
		{Ref{Name: "s1", File: write(t, dir+"/long", strings.Repeat("hidden", most), 0o600)}, "no more than 65536"},
		{Ref{Name: "s1", Store: store.Path}, "run `amlflow secret set s1`"},
		{Ref{Name: "s1", Store: write(t, dir+"/torn.age", "hidden", 0o600)}, "damaged"},
	} {
		_, err := Resolve(t.Context(), home, "run1", []Ref{c.ref})
		if err == nil || !strings.Contains(err.Error(), `secret "s1"`) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: got %v, want %s", c.ref, err, c.want)
		}
	}
	_, err := Resolve(t.Context(), home, "run1", []Ref{{Name: "s1", File: dir + "/none"}, {Name: "s2", Env: "TOKEN"}})
	if err == nil || !strings.Contains(err.Error(), `"s1"`) || !strings.Contains(err.Error(), `"s2"`) {
		t.Errorf("got %v, want both names", err)
	}
	if _, err := Gather(home, []Ref{{Name: "s1", Env: "TOKEN"}}, lookup(nil)); err == nil || !strings.Contains(err.Error(), "export it") {
		t.Errorf("got %v", err)
	}
	if _, err := Resolve(t.Context(), home, "../x", []Ref{{Name: "s1", Env: "TOKEN"}}); err == nil {
		t.Error("an envelope was looked for elsewhere")
	}
	if got, err := Resolve(t.Context(), home, "", nil); len(got) != 0 || err != nil {
		t.Errorf("without secrets it gave %v, %v", got, err)
	}
}

// Docker and Kubernetes mount secrets as links.
func TestFileMayBeALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(write(t, dir+"/real", "value", 0o400), dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(t.Context(), t.TempDir(), "run1", []Ref{{Var: "A", Name: "s", File: dir + "/link"}}); err != nil || got["A"] != "value" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEnvelopeIsForgotten(t *testing.T) {
	noKeys(t)
	home := t.TempDir()
	e := &Envelope{Env: map[string][]byte{"TOKEN": []byte("value")}}
	for _, run := range []string{"run1", "run2"} {
		if err := e.Seal(home, run); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Forget(home, "run1"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Sealed(home); err != nil || len(got) != 1 || time.Since(got["run2"]) > time.Hour {
		t.Errorf("left are %v, %v", got, err)
	}
	if err := e.Seal(home, "run2"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("sealed again: %v", err)
	}
	if got, err := Sealed(t.TempDir()); err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, run := range []string{"", "..", "../run2", "a/b"} {
		if Forget(home, run) == nil || e.Seal(home, run) == nil {
			t.Errorf("%q was taken for the id of a run", run)
		}
	}
	var none *Envelope
	if err := none.Seal(home, "run3"); err != nil {
		t.Error(err)
	}
	if got, _ := Sealed(home); len(got) != 1 {
		t.Errorf("an empty envelope was kept: %v", got)
	}
}

func TestStore(t *testing.T) {
	noKeys(t)
	s := Store{Home: t.TempDir(), Path: StoreFile(t.TempDir())}
	if names, err := s.Names(); err != nil || len(names) != 0 {
		t.Errorf("got %q, %v", names, err)
	}
	if found, err := s.Remove(t.Context(), "a"); found || err != nil {
		t.Errorf("got %v, %v", found, err)
	}
	s.set(t, "b", "one")
	s.set(t, "a", "two")
	s.set(t, "b", "three")
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %q, %v", names, err)
	}
	if found, err := s.Remove(t.Context(), "a"); !found || err != nil {
		t.Errorf("got %v, %v", found, err)
	}
	if got, err := s.read(""); err != nil || len(got) != 1 || string(got["b"]) != "three" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, value := range []string{"", "a\x00b", strings.Repeat("x", most+1)} {
		if err := s.Set(t.Context(), "c", value); err == nil || !strings.Contains(err.Error(), `"c"`) {
			t.Errorf("%.10q: got %v", value, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the store there is more: %v, %v", entries, err)
	}
}

// Many at once lose nothing, and make one key.
func TestManyWriters(t *testing.T) {
	noKeys(t)
	s := Store{Home: t.TempDir(), Path: StoreFile(t.TempDir())}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if err := s.Set(t.Context(), fmt.Sprint("s", n), "value"); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := (&Envelope{Key: "x"}).Seal(s.Home, fmt.Sprint("run", n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if names, err := s.Names(); err != nil || len(names) != 20 {
		t.Errorf("got %q, %v", names, err)
	}
	for n := range 20 {
		if _, ok, err := unseal(s.Home, fmt.Sprint("run", n)); !ok || err != nil {
			t.Errorf("envelope %d: %v, %v", n, ok, err)
		}
	}
}

func keptPrivate(t *testing.T, home string) {
	t.Helper()
	_ = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		return err
	})
}
