package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"pgregory.net/rapid"
)

// yard is a store and what runs refer to of it.
type yard struct {
	s    Folder
	dir  string
	held map[target.Ref]string
}

func newYard(t testing.TB) *yard {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "store")
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &yard{s: s, dir: dir, held: map[target.Ref]string{}}
}

// age makes everything look as if it was used long ago.
func (y *yard) age() error {
	past := time.Now().Add(-2 * Grace)
	return filepath.WalkDir(y.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chtimes(path, past, past)
		}
		return err
	})
}

// sweep removes what is old and was not held when it began.
func (y *yard) sweep() error {
	held, young := map[string]bool{}, time.Now().Add(-Grace)
	for ref := range y.held {
		all, err := target.Contents(context.Background(), y.s, ref)
		if err != nil {
			return err
		}
		for _, r := range all {
			held[r.Hex()] = true
		}
	}
	return y.s.Sweep(context.Background(), false, func(i Item) bool { return held[i.Name] || !i.Used.Before(young) }, func(Item) {})
}

// whole fails unless everything that is held can be read.
func (y *yard) whole() error {
	for ref, want := range y.held {
		all, err := target.Contents(context.Background(), y.s, ref)
		if err != nil {
			return err
		}
		var got []string
		for _, part := range all[min(1, len(all)-1):] {
			r, err := y.s.Open(context.Background(), part)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil {
				return err
			}
			got = append(got, string(text))
		}
		if strings.Join(got, "|") != want {
			return fmt.Errorf("%s holds %q, want %q", ref, got, want)
		}
	}
	return nil
}

// put stores a file, or a folder of two, and holds it.
func (y *yard) put(n int, dir string) error {
	text := fmt.Sprint("content ", n)
	if n%3 > 0 {
		ref, err := y.s.Put(context.Background(), strings.NewReader(text))
		y.held[ref] = text
		return err
	}
	other := fmt.Sprint("content ", n+1) // a file that is also held, or not, by itself
	tree := filepath.Join(dir, fmt.Sprint("tree", n))
	err := os.MkdirAll(tree, 0o700)
	for name, text := range map[string]string{"a": text, "b": other} {
		err = errors.Join(err, os.WriteFile(filepath.Join(tree, name), []byte(text), 0o600))
	}
	if err != nil {
		return err
	}
	ref, err := target.PutTree(context.Background(), y.s, tree, nil)
	y.held[ref] = text + "|" + other
	return err
}

var errKilled = errors.New("killed")

// Whatever happens between the steps of a sweep, and wherever it is killed: what is
// held can be read. What is held is what runs put, or found by its name and marked.
func TestASweepTakesNothingThatIsHeld(t *testing.T) {
	trees := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		y := newYard(t)
		known := map[target.Ref]string{}
		check := func(err error) {
			if err = errors.Join(err, y.whole()); err != nil {
				r.Fatal(err)
			}
		}
		act := func() {
			switch rapid.SampledFrom([]string{"put", "put", "let go", "find", "read", "nothing"}).Draw(r, "act") {
			case "put":
				if err := y.put(rapid.IntRange(0, 8).Draw(r, "content"), trees); err != nil {
					r.Fatal(err)
				}
				for ref, text := range y.held {
					known[ref] = text
				}
			case "let go":
				for ref := range y.held {
					delete(y.held, ref)
					break
				}
			case "find":
				for ref, text := range known {
					if y.s.Use(context.Background(), ref) == nil {
						y.held[ref] = text
					}
					break
				}
			case "read": // not always: what is read is taken back from the trash
				check(nil)
			}
		}
		sweep := func() (err error) {
			defer func() {
				step = func(string) {}
				if p := recover(); p != nil && p != errKilled { //nolint:errorlint // it is this very value
					panic(p)
				}
			}()
			step = func(string) {
				act()
				if rapid.IntRange(0, 9).Draw(r, "kill") == 0 {
					panic(errKilled)
				}
			}
			return y.sweep()
		}
		r.Repeat(map[string]func(*rapid.T){
			"act":   func(*rapid.T) { act() },
			"age":   func(*rapid.T) { check(y.age()) },
			"sweep": func(*rapid.T) { check(sweep()) },
		})
	})
}

// Writers, readers and sweeps at the same time.
func TestSweepsBesideWriters(t *testing.T) {
	y := newYard(t)
	for n := range 40 {
		if _, err := y.s.Put(t.Context(), strings.NewReader(fmt.Sprint("content ", n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := y.age(); err != nil {
		t.Fatal(err)
	}
	young := time.Now().Add(-Grace)
	done := make(chan struct{})
	var sweeps, writers sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := y.s.Sweep(t.Context(), false, func(i Item) bool { return !i.Used.Before(young) }, func(Item) {}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for w := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		writers.Go(func() {
			for range 400 {
				text := fmt.Sprint("content ", rng.IntN(40))
				ref, err := y.s.Put(t.Context(), strings.NewReader(text))
				if err != nil {
					t.Error(err)
					return
				}
				f, err := y.s.Open(t.Context(), ref)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(f)
				if err = errors.Join(err, f.Close()); err != nil || string(got) != text {
					t.Errorf("%q: %v", got, err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	sweeps.Wait()
}

func digestOf(text string) string {
	ref, _ := Digests{}.Put(context.Background(), bytes.NewReader([]byte(text)))
	return ref.Hex()
}

func TestWhatASweepTells(t *testing.T) {
	y := newYard(t)
	old, err := y.s.Put(t.Context(), strings.NewReader("old"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(y.s.SetRecord(t.Context(), "results/x", []byte("{}")), os.WriteFile(filepath.Join(y.dir, "tmp", "put-1"), []byte("half"), 0o600), y.age()); err != nil {
		t.Fatal(err)
	}
	if _, err := y.s.Put(t.Context(), strings.NewReader("young")); err != nil {
		t.Fatal(err)
	}
	young := time.Now().Add(-Grace)
	for _, dry := range []bool{true, false, false} {
		var told []string
		tell := func(i Item) { told = append(told, fmt.Sprintf("%.8s %d", i.Name, i.Bytes)) }
		err := errors.Join(
			y.s.Sweep(t.Context(), dry, func(i Item) bool { return !i.Used.Before(young) }, tell),
			y.s.SweepRecords(t.Context(), dry, young, tell), y.s.SweepUnfinished(t.Context(), dry, young, tell))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(dry, told)
		if len(told) == 0 && !dry {
			break
		}
		if got, want := strings.Join(told, ", "), old.Hex()[:8]+" 3, records/ 2, tmp/put- 4"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	if exists(y.s.path(old)) || !exists(y.s.path(target.Ref("sha256:"+digestOf("young")))) {
		t.Error("the wrong one is gone")
	}
}

func TestUsersOfAStore(t *testing.T) {
	y := newYard(t)
	for range 2 {
		if err := errors.Join(y.s.Claim("one", "/a"), y.s.Claim("two", "/b")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := y.s.Users(); err != nil || len(got) != 2 || got["one"] != "/a" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := y.s.Claim("../x", "/c"); err == nil {
		t.Error("a path was taken for a name")
	}
}
