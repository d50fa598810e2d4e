package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine"
	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/cluster"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/target"
)

// age makes all files below a folder look as if they were used two days ago.
func age(t *testing.T, dir string) {
	t.Helper()
	past := time.Now().Add(-48 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, past, past)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func sweep(t *testing.T, e *engine.Engine, older time.Duration, dry bool) map[string]int {
	t.Helper()
	s, err := e.Sweep(t.Context(), engine.Sweeping{Older: older, DryRun: dry})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Notes {
		t.Log(n)
	}
	kinds := map[string]int{}
	for _, l := range s.Leftovers {
		kinds[l.Kind]++
	}
	return kinds
}

// whole reads the outputs of all stages of a run, and their logs.
func whole(t *testing.T, e *engine.Engine, o engine.Options, p *flow.Progress) {
	t.Helper()
	b, err := blob.OpenFolder(o.StoreDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		for name, v := range s.Outputs {
			if err := target.Get(t.Context(), b, target.Ref(fmt.Sprint(v)), filepath.Join(t.TempDir(), "out")); err != nil {
				t.Errorf("the output %s of %s in run %s: %v", name, s.Name, p.Run, err)
			}
		}
		if _, err := e.Logs(t.Context(), s, p.Store, s.Rank, 0, io.Discard); err != nil {
			t.Errorf("the log of %s in run %s: %v", s.Name, p.Run, err)
		}
	}
}

// making is a plan whose stages make a file and a folder, the second of what the
// first made.
func making(words string) *plan.Plan {
	p := scripts("echo "+words+` | tee "$AMLFLOW_OUTPUT_FILE"`, `sleep 0.1; cp "$AMLFLOW_INPUT_FILE" "$AMLFLOW_OUTPUT_DIR/f"; echo more >"$AMLFLOW_OUTPUT_DIR/g"`, `test -s "$AMLFLOW_INPUT_DIR/f" && test -s "$AMLFLOW_INPUT_FILE"`)
	p.Stages[0].Outputs = []plan.Output{{Name: "file", Type: target.File}}
	p.Stages[1].Outputs = []plan.Output{{Name: "dir", Type: target.Folder}}
	file := plan.Input{Name: "file", Artifact: true, Value: plan.Value{Expr: "${{ stages.s1.outputs.file }}"}}
	dir := plan.Input{Name: "dir", Artifact: true, Value: plan.Value{Expr: "${{ stages.s2.outputs.dir }}"}}
	p.Stages[1].Inputs = []plan.Input{file}
	p.Stages[2].Inputs = []plan.Input{file, dir}
	p.Stages[2].Needs = []plan.Need{{Stage: "s1"}, {Stage: "s2"}}
	return p
}

func TestWhatRunsLeaveIsSwept(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	store, err := blob.OpenFolder(o.StoreDir())
	if err != nil {
		t.Fatal(err)
	}
	code := t.TempDir()
	if err := os.WriteFile(filepath.Join(code, "main.sh"), []byte("true"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := target.PutTree(t.Context(), store, code, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := making("words")
	p.Stages[0].Code, p.Digest = tree, "sha256:making"
	good := wait(t, e, start(t, e, o, p))
	bad := wait(t, e, start(t, e, o, scripts("echo sorry; exit 1")))
	if good.Status != target.Succeeded || bad.Status != target.Failed {
		t.Fatalf("got %+v and %+v", good, bad)
	}
	nobodys, err := store.Put(t.Context(), strings.NewReader("nobody's"))
	if err != nil {
		t.Fatal(err)
	}
	age(t, o.StoreDir())
	age(t, filepath.Join(o.Home, "local"))

	// What runs refer to that ended lately stays; what is nobody's goes, when told to.
	for _, dry := range []bool{true, false} {
		if got := sweep(t, e, time.Hour, dry); got[engine.LeftArtifact] != 1 || got["job"] != 0 {
			t.Errorf("dry: %v, swept %v", dry, got)
		}
		if store.Has(nobodys) != dry {
			t.Errorf("dry: %v, and the artifact of nobody is there: %v", dry, !dry)
		}
	}
	whole(t, e, o, good)
	whole(t, e, o, bad)
	if err := target.Get(t.Context(), store, tree, filepath.Join(t.TempDir(), "code")); err != nil {
		t.Errorf("the code: %v", err)
	}
	if gone := engine.GoneOf(good); len(gone) != 0 {
		t.Errorf("gone: %v", gone)
	}

	// Then everything of them goes but the records.
	would := sweep(t, e, 0, true)
	if got := sweep(t, e, 0, false); fmt.Sprint(got) != fmt.Sprint(would) || got["job"] == 0 || got["mark"] == 0 || got[engine.LeftArtifact] < 6 {
		t.Errorf("would sweep %v, swept %v", would, got)
	}
	again, err := e.Progress(t.Context(), good.Run)
	if err != nil || again.Status != target.Succeeded || len(engine.GoneOf(again)) != 5 {
		t.Errorf("got %+v, %v, without %v", again, err, engine.GoneOf(again))
	}
	var log bytes.Buffer
	if _, err := e.Logs(t.Context(), &again.Stages[0], again.Store, 0, 0, &log); !errors.Is(err, engine.ErrRemoved) {
		t.Errorf("the log: %q, %v", log.String(), err)
	}
}

// Runs that make again what was made long ago go on and end while everything is swept
// that may be, over and over. The first sweep of a round comes when a run has found
// its content in the store and has not used it yet.
func TestSweepsBesideRuns(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	for round := range 3 {
		var ids []string
		for i := range 8 {
			ids = append(ids, start(t, e, o, making(fmt.Sprint("content ", i%3))))
		}
		eventually(t, "a run has made something", func() bool {
			p, err := e.Progress(t.Context(), ids[0])
			return err == nil && p.Stages[0].Status == target.Succeeded
		})
		done := make(chan struct{})
		var sweeps sync.WaitGroup
		sweeps.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					t.Logf("%d sweeps", n)
					return
				default:
				}
				if _, err := e.Sweep(context.Background(), engine.Sweeping{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for _, id := range ids {
			if p := wait(t, e, id); p.Status != target.Succeeded {
				t.Errorf("round %d, run %s: %+v", round, id, p)
			}
		}
		close(done)
		sweeps.Wait()
		age(t, o.StoreDir())
	}
}

// A store that another state folder uses is left alone, and so is the folder of a job
// that runs.
func TestASweepLeavesAloneWhatOthersUse(t *testing.T) {
	here, there := options(t, nil, time.Minute), options(t, nil, time.Minute)
	e, other := open(t, here), open(t, there)
	store := t.TempDir()
	for _, who := range []*engine.Engine{e, other} {
		id, err := who.Start(t.Context(), engine.Request{Plan: making("both"), Store: store, Host: map[string]string{"PATH": os.Getenv("PATH")}})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, who, id)
	}
	age(t, store)
	s, err := e.Sweep(t.Context(), engine.Sweeping{Stores: []string{store}})
	if err != nil || !strings.Contains(strings.Join(s.Notes, "\n"), there.Home) {
		t.Errorf("notes %q, %v", s.Notes, err)
	}
	for _, l := range s.Leftovers {
		if l.Place == store {
			t.Errorf("swept %+v", l)
		}
	}
	if _, err := e.Sweep(t.Context(), engine.Sweeping{Stores: []string{t.TempDir()}}); err != nil {
		t.Error(err)
	}
	gate := filepath.Join(t.TempDir(), "gate")
	id := start(t, e, here, scripts("exit 1", "true"))
	wait(t, e, id)
	running := start(t, e, here, scripts(fmt.Sprintf("until [ -e %s ]; do sleep 0.05; done", gate)))
	eventually(t, "the stage runs", func() bool {
		p, err := e.Progress(t.Context(), running)
		return err == nil && p.Stages[0].Status == target.Running
	})
	age(t, filepath.Join(here.Home, "local", "jobs"))
	if got := sweep(t, e, 0, false); got["job"] != 1 {
		t.Errorf("swept %v", got)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, e, running); p.Status != target.Succeeded {
		t.Errorf("got %+v", p)
	}
}

// The runs of all engines that a state folder was used with count; when one of them
// cannot be asked, nothing goes that its runs may need.
func TestASweepAsksAllEnginesOfAStateFolder(t *testing.T) {
	s, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Address()
	o := options(t, &a, time.Minute)
	e := open(t, o)
	far := wait(t, e, start(t, e, o, making("far")))
	embedded := o
	embedded.External = nil
	near := open(t, embedded)
	t.Cleanup(func() { stopServer(t, embedded) })
	age(t, o.Home)
	if got := sweep(t, near, time.Hour, false); got[engine.LeftArtifact]+got["job"] != 0 {
		t.Errorf("swept %v", got)
	}
	whole(t, e, o, far)
	stopServer(t, o)
	s.Stop()
	swept, err := near.Sweep(t.Context(), engine.Sweeping{})
	if err != nil || !strings.Contains(strings.Join(swept.Notes, "\n"), "another engine") || len(swept.Leftovers) != 0 {
		t.Errorf("got %+v, %v", swept, err)
	}
}

// A list that lacks a run which the engine knows is not believed; a run that began
// just now need not be on it.
func TestAListThatLacksARunIsNotBelieved(t *testing.T) {
	o := options(t, nil, time.Minute)
	e := open(t, o)
	id := start(t, e, o, scripts("true"))
	wait(t, e, id)
	past := time.Now().Add(-time.Hour)
	for what, c := range map[string]struct {
		kept   target.Kept
		doubts bool
	}{
		"an old job of a run that is there": {target.Kept{What: target.KeptMark, Name: id + ".s1.1", Used: past}, true},
		"a young one":                       {target.Kept{What: target.KeptMark, Name: id + ".s1.1", Used: time.Now()}, false},
		"one of no run":                     {target.Kept{What: target.KeptJob, Name: "nonesuch.s1.1", Used: past}, false},
	} {
		if why, err := engine.Doubt(t.Context(), e, []target.Kept{c.kept}); err != nil || strings.Contains(why, id) != c.doubts {
			t.Errorf("%s: %q, %v", what, why, err)
		}
	}
}

func stopServer(t *testing.T, o engine.Options) {
	t.Helper()
	if err := server.Stop(context.Background(), server.Seat{Home: o.Home, External: o.External}); err != nil {
		t.Error(err)
	}
}
