package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/secrets"
	"github.com/amlflow/amlflow/workers/target"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

const (
	fromVariable = "v4riable-hidden/value+1"
	fromFile     = "f1le-hidden\nsecond line of it"
	fromStore    = "st0re 'hidden' \"value\""
)

// confided is a run with a secret of each kind, and a worker in its state folder.
type confided struct {
	home string
	e    *Engine
	env  *testsuite.TestActivityEnvironment
	sub  workers.Submission
}

// activities is a Registry that takes no workflows.
type activities struct {
	*testsuite.TestActivityEnvironment
}

func (activities) RegisterWorkflowWithOptions(any, workflow.RegisterOptions) {}

func confide(t *testing.T, script string) confided {
	t.Helper()
	t.Setenv(secrets.KeyVar, "")
	t.Setenv(secrets.KeyFileVar, "")
	home, dir := filepath.Join(t.TempDir(), "home"), t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte(fromFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := secrets.Store{Home: home, Path: secrets.StoreFile(dir)}
	if err := store.Set(t.Context(), "stored", fromStore); err != nil {
		t.Fatal(err)
	}
	refs := []workers.Secret{{Var: "VARIABLE", Name: "variable", Env: "TOKEN"}, {Var: "FILE", Name: "filed", File: file}, {Var: "STORE", Name: "stored", Store: store.Path}}
	envelope, err := GatherSecrets(home, refs, func(name string) (string, bool) {
		return map[string]string{"TOKEN": fromVariable}[name], name == "TOKEN"
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := envelope.Seal(home, "run1"); err != nil {
		t.Fatal(err)
	}
	drivers := map[string]target.Driver{"local": local.Driver{Dir: filepath.Join(home, "local")}}
	var suite testsuite.WorkflowTestSuite
	c := confided{home: home, e: &Engine{o: Options{Home: home, Drivers: drivers}}, env: suite.NewTestActivityEnvironment()}
	Activities(drivers, home)(activities{c.env})
	c.sub = workers.Submission{
		Store: filepath.Join(home, "store"), Target: target.Target{Name: "here", Kind: "local"}, Secrets: refs,
		Job: target.Job{ID: "run1.stage.1", Script: script, Host: map[string]string{"PATH": os.Getenv("PATH")}, Env: map[string]string{"GO": filepath.Join(dir, "go")}},
	}
	return c
}

// stage is how the run shows the job, before its log is kept.
func (c confided) stage(s target.State) *flow.StageProgress {
	return &flow.StageProgress{Name: "stage", Job: c.sub.Job.ID, Place: &c.sub.Target, Status: s, Secrets: c.sub.Secrets}
}

func forms(value string) [][]byte {
	text, _ := json.Marshal(value)
	return [][]byte{[]byte(value), []byte(base64.StdEncoding.EncodeToString([]byte(value))), []byte(hex.EncodeToString([]byte(value))), bytes.Trim(text, `"`)}
}

func tells(text []byte) bool {
	for _, value := range []string{fromVariable, fromFile, fromStore} {
		for _, form := range forms(value) {
			if bytes.Contains(text, form) {
				return true
			}
		}
	}
	return false
}

const telling = `for s in "$VARIABLE" "$FILE" "$STORE"; do
  printf '%s\n' "raw $s"; printf %s "$s" | base64
done
echo end`

// Once a run was cleaned, no file of the state folder tells a secret, and before
// that only the folder of the job does.
func TestNoSecretIsKept(t *testing.T) {
	c := confide(t, telling+"; exit 3")
	v, err := c.env.ExecuteActivity(workers.Run, c.sub)
	if err != nil {
		t.Fatal(err)
	}
	var o workers.Outcome
	if err := v.Get(&o); err != nil || o.Exit != 3 || o.Log == "" || len(o.Tail) < 7 {
		t.Fatalf("got %+v, %v", o, err)
	}
	text, err := json.Marshal(o)
	if err != nil || tells(text) {
		t.Errorf("the outcome tells: %s, %v", text, err)
	}
	if _, err := c.env.ExecuteActivity(workers.Clean, []workers.Finished{{Target: c.sub.Target, Job: c.sub.Job.ID}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.env.ExecuteActivity(workers.Forget, "run1"); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(c.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if files++; tells(text) {
			t.Errorf("%s tells: %s", path, text)
		}
		return err
	})
	if left, _ := secrets.Sealed(c.home); err != nil || files < 3 || len(left) > 0 {
		t.Errorf("looked into %d files, left are %v, %v", files, left, err)
	}
}

// What a person sees while a job runs is what is kept of it afterwards, byte for
// byte and at the same offsets.
func TestLiveLogIsMasked(t *testing.T) {
	c := confide(t, telling+`; until [ -e "$GO" ]; do sleep 0.02; done; echo last`)
	done := make(chan workers.Outcome, 1)
	go func() {
		var o workers.Outcome
		if v, err := c.env.ExecuteActivity(workers.Run, c.sub); err == nil {
			_ = v.Get(&o)
		}
		done <- o
	}()
	var seen strings.Builder
	offset := int64(0)
	follow := func(s target.State, until string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !strings.HasSuffix(seen.String(), until); time.Sleep(5 * time.Millisecond) {
			n, err := c.e.Logs(t.Context(), c.stage(s), c.sub.Store, 0, offset, &seen)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%q up to %d: %v", seen.String(), n, err)
			}
			offset = n
		}
	}
	follow(target.Running, "end\n")
	if tells([]byte(seen.String())) || offset != int64(seen.Len()) {
		t.Errorf("up to %d it tells %q", offset, seen.String())
	}
	if err := os.WriteFile(c.sub.Job.Env["GO"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := <-done
	follow(target.Succeeded, "last\n")
	store, err := blob.OpenFolder(c.sub.Store)
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.Open(t.Context(), o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var kept bytes.Buffer
	if _, err := kept.ReadFrom(r); err != nil || kept.String() != seen.String() {
		t.Errorf("kept is %q, seen was %q: %v", kept.String(), seen.String(), err)
	}
}

// Who cannot mask shows nothing.
func TestLiveLogWithoutSecrets(t *testing.T) {
	c := confide(t, telling)
	if _, err := c.env.ExecuteActivity(workers.Run, c.sub); err != nil {
		t.Fatal(err)
	}
	if err := secrets.Forget(c.home, "run1"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	n, err := c.e.Logs(t.Context(), c.stage(target.Succeeded), c.sub.Store, 0, 0, &out)
	if err == nil || !strings.Contains(err.Error(), `secret "variable"`) || out.Len() > 0 || n != 0 {
		t.Errorf("up to %d it shows %q, %v", n, out.String(), err)
	}
	nothing := c.stage(target.Failed)
	nothing.Job = "run1.stage.2" // never started
	if n, err := c.e.Logs(t.Context(), nothing, c.sub.Store, 0, 0, &out); err != nil || n != 0 || out.Len() > 0 {
		t.Errorf("up to %d it shows %q, %v", n, out.String(), err)
	}
}
