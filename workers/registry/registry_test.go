package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/workers/registry"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

// memory keeps contents for as long as a test takes.
type memory struct {
	mu   sync.Mutex
	kept map[target.Ref]string
}

func (m *memory) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	text, err := io.ReadAll(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	ref := name(len(m.kept))
	m.kept[ref] = string(text)
	return ref, err
}

func (m *memory) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return io.NopCloser(strings.NewReader(m.kept[ref])), nil
}

func name(i int) target.Ref { return target.Ref(fmt.Sprintf("sha256:%064d", i)) }

func register(t *testing.T, r registry.Registry, model string, content int, job string) registry.Version {
	t.Helper()
	v, err := r.Register(t.Context(), &memory{kept: map[target.Ref]string{}}, model, name(content), registry.Origin{Run: "r", Job: job, Output: "model", At: registry.Now()})
	if err != nil {
		t.Error(err)
	}
	return v
}

// Many register at once: every content has one version, and no number is left out.
func TestVersionsCountUp(t *testing.T) {
	r := registry.Open(t.TempDir())
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			register(t, r, "m", i%20, fmt.Sprint("job-", i%30))
		}()
	}
	wg.Wait()
	all, err := r.Versions("m")
	if err != nil || len(all) != 20 {
		t.Fatal(len(all), err)
	}
	seen := map[target.Ref]bool{}
	for i, v := range all {
		if v.Version != i+1 || seen[v.Artifact] {
			t.Errorf("%d is %+v", i, v)
		}
		seen[v.Artifact] = true
	}
}

// A retried job, or one that is followed by two workers, makes no second version, and
// is no second origin; another job that makes the same is.
func TestTheSameContentIsTheSameVersion(t *testing.T) {
	r := registry.Open(t.TempDir())
	for _, job := range []string{"a", "a", "b", "a"} {
		if v := register(t, r, "m", 1, job); v.Version != 1 {
			t.Errorf("%+v", v)
		}
	}
	v, err := r.Find("m", "latest")
	if err != nil || len(v.Origins) != 2 {
		t.Errorf("%+v %v", v, err)
	}
	for i := range 100 {
		register(t, r, "m", 1, fmt.Sprint(i))
	}
	if v, _ = r.Find("m", "1"); len(v.Origins) > 20 || v.Origins[0].Job != "a" || v.Origins[len(v.Origins)-1].Job != "99" {
		t.Errorf("%d origins, first %s", len(v.Origins), v.Origins[0].Job)
	}
}

// Whoever registers may be killed at any moment: what it has begun is completed by the
// next one, and nothing is there twice.
func TestKilledWhileRegistering(t *testing.T) {
	if dir := os.Getenv("REGISTER_IN"); dir != "" {
		r := registry.Open(dir)
		fmt.Println("ready")
		for i := range 10_000 {
			register(t, r, "m", i, fmt.Sprint(i))
			fmt.Println(i)
		}
		return
	}
	dir := t.TempDir()
	for round := range 8 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilledWhileRegistering$")
		c.Env = append(os.Environ(), "REGISTER_IN="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 1)
		for lines := 0; lines < 3+3*round; { // it is in the middle of something
			if _, err := out.Read(said); err != nil {
				t.Fatal("it ended by itself: ", err)
			}
			if said[0] == '\n' {
				lines++
			}
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	r := registry.Open(dir)
	all, err := r.Versions("m")
	if err != nil || len(all) < 3 {
		t.Fatal(len(all), err)
	}
	for i, v := range all {
		if v.Version != i+1 || v.Artifact != name(i) || len(v.Origins) != 1 {
			t.Errorf("%d is %+v", i, v)
		}
	}
	marks, err := os.ReadDir(filepath.Join(dir, "models", "m", "by"))
	if err != nil || len(marks) < len(all)-1 {
		t.Errorf("%d marks for %d versions: %v", len(marks), len(all), err)
	}
}

// One that died before it left the mark of the content.
func TestWithoutItsMark(t *testing.T) {
	dir := t.TempDir()
	r := registry.Open(dir)
	register(t, r, "m", 1, "a")
	register(t, r, "m", 2, "b")
	if err := os.RemoveAll(filepath.Join(dir, "models", "m", "by")); err != nil {
		t.Fatal(err)
	}
	if v := register(t, r, "m", 2, "b"); v.Version != 2 {
		t.Errorf("%+v", v)
	}
	if v := register(t, r, "m", 2, "c"); v.Version != 2 {
		t.Errorf("%+v", v)
	}
}

func TestLabels(t *testing.T) {
	r := registry.Open(t.TempDir())
	for i := range 5 {
		register(t, r, "m", i, fmt.Sprint(i))
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := r.Promote("m", 1+i%5, "production", registry.Decision{By: "ana"}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	holders, _ := r.Holders("m")
	history, err := r.History("m")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, move := range history { // each takes it from who had it
		if move.From != at || move.To == at {
			t.Errorf("%+v while @%d had it", move, at)
		}
		at = move.To
	}
	if holders["production"] != at {
		t.Errorf("@%d has it, and the history says @%d", holders["production"], at)
	}
	if _, err := r.Promote("m", 9, "production", registry.Decision{}); !errors.Is(err, registry.ErrUnknown) {
		t.Error(err)
	}
	if err := r.Remove("m", at, registry.Decision{By: "ana"}); !errors.Is(err, registry.ErrHeld) {
		t.Error(err)
	}
	other := 1 + at%5
	if err := r.Remove("m", other, registry.Decision{By: "ana", Why: "old"}); err != nil {
		t.Error(err)
	}
	if _, err := r.Find("m", fmt.Sprint(other)); err == nil || !strings.Contains(err.Error(), "was removed by ana") {
		t.Error(err)
	}
	if v := register(t, r, "m", other-1, "again"); v.Version != 6 { // the same content, removed before
		t.Errorf("%+v", v)
	}
	refs, err := r.Artifacts()
	if err != nil || len(refs) != 5 {
		t.Error(refs, err)
	}
}

func TestRisks(t *testing.T) {
	m := &memory{kept: map[target.Ref]string{}}
	put := func(text string) target.Ref {
		ref, err := m.Put(t.Context(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	list, err := target.PutList(t.Context(), m, []target.Entry{
		{Path: "a.JOBLIB", Ref: put("")}, {Path: "b", Ref: put("\x80\x04\x95\x10\x00")}, {Path: "c.bin", Ref: put("PK\x03\x04.............archive/data.pkl....")},
		{Path: "d.json", Ref: put("{}")}, {Path: "e.npy", Ref: put("\x93NUMPY\x01")}, {Path: "empty"}, {Path: "f.txt", Ref: put("\x80\x04")}, {Path: "sub/g.pt", Ref: put("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := registry.Risks(t.Context(), m, list)
	if err != nil {
		t.Fatal(err)
	}
	want := []registry.Risk{{File: "a.JOBLIB", Why: "a pickle of joblib"}, {File: "b", Why: "a pickle"}, {File: "c.bin", Why: "a pickle"}, {File: "sub/g.pt", Why: "a pickle of torch"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got, err = registry.Risks(t.Context(), m, put("\x80\x02}q")); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{"a@1": "a 1", "digits.train@production": "digits.train production", "a@": "", "@1": "", "a": "", "A@1": "", "a@1x": "", "a/b@1": "", "a@b@c": ""} {
		got := ""
		if name, which, ok := registry.Parse(text); ok {
			got = name + " " + which
		}
		if got != want {
			t.Errorf("%q is %q, and %q was expected", text, got, want)
		}
	}
}

// An alias is with one version at a time, is no label, and is not given to what is gone.
func TestAliases(t *testing.T) {
	r := registry.Open(t.TempDir())
	register(t, r, "m", 1, "a")
	register(t, r, "m", 2, "b")
	if _, err := r.Promote("m", 1, "production", registry.Decision{}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 2} {
		if err := r.Alias("m", "champion", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Remove("m", 2, registry.Decision{By: "me"}); err != nil {
		t.Fatal(err)
	}
	for alias, n := range map[string]int{"gone": 2, "none": 7} {
		if err := r.Alias("m", alias, n); !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("an alias of version %d: %v", n, err)
		}
	}
	for _, label := range []string{"staging", registry.Latest} {
		if err := r.Alias("m", label, 1); err == nil {
			t.Errorf("%q was given as an alias", label)
		}
	}
	got, err := r.Aliases("m")
	holders, err2 := r.Holders("m")
	if diff := cmp.Diff([]map[string]int{{"champion": 2}, {"production": 1}}, []map[string]int{got, holders}); diff != "" || err != nil || err2 != nil {
		t.Error(diff, err, err2)
	}
	if n, err := r.Newest("m"); n != 2 || err != nil {
		t.Errorf("the newest is %d: %v", n, err)
	}
	if n, err := r.Newest("other"); n != 0 || err != nil {
		t.Errorf("the newest of none is %d: %v", n, err)
	}
}
