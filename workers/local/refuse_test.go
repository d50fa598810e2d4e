package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

func TestCheckSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, settings string
		want          []string
	}{
		{t.TempDir(), `{"shell": "no-such-shell"}`, []string{`"no-such-shell"`, "install it"}},
		{filepath.Join(file, "below"), ``, []string{file, "make the folder writable"}},
		{t.TempDir(), `{"memory": "lots"}`, []string{`"lots"`, "write bytes"}},
	} {
		err := Driver{Dir: c.dir}.Check(t.Context(), local(c.settings))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", c.settings, err, want)
			}
		}
	}
}

func TestGrant(t *testing.T) {
	s, err := readSettings(local(`{"nodes": 3, "cpus": 2, "memory": "1Gi"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ask, got target.Resources
		err      string
	}{
		{ask: target.Resources{}, got: target.Resources{Nodes: 1, CPUs: 2, Memory: 1 << 30}},
		{ask: target.Resources{Nodes: 3, CPUs: 1, Memory: 1 << 20}, got: target.Resources{Nodes: 3, CPUs: 1, Memory: 1 << 20}},
		{ask: target.Resources{Nodes: 4}, err: "has 3 nodes, the job asks for 4"},
		{ask: target.Resources{CPUs: 2.5}, err: "has 2 cpus, the job asks for 2.5"},
		{ask: target.Resources{Memory: 2 << 30}, err: "has 1Gi of memory, the job asks for 2Gi"},
		{ask: target.Resources{GPUs: 1}, err: "lends no GPUs"},
	} {
		got, err := s.room().Grant("here", c.ask)
		if c.err == "" && (err != nil || got != c.got) {
			t.Errorf("%+v: got %+v, %v", c.ask, got, err)
		}
		if c.err != "" && (!errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: got %v, want %q", c.ask, err, c.err)
		}
	}
}

// A command that cannot be run says which, and where it was looked for.
func TestStartFailuresAreExplained(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	b := &targettest.Blobs{}
	code := t.TempDir()
	for name, text := range map[string]string{"plain": "x", "bad": "#!/no/such/interpreter\n"} {
		mode := os.FileMode(0o644)
		if name == "bad" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(code, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := target.PutTree(t.Context(), b, code, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ settings, command, want string }{
		"absent": {"", "python9", `"python9" was not found in PATH (/opt:/bin)`},
		"plain":  {"", "./plain", `"./plain" cannot be executed`},
		"bad":    {"", "./bad", `"./bad" was not found, or the interpreter`},
		"shell":  {`{"shell": "fish9"}`, "", `the shell "fish9" was not found in PATH`},
	} {
		job := target.Job{ID: name, Host: map[string]string{"PATH": "/opt:/bin"}, Code: ref}
		if job.Script = "true"; c.command != "" {
			job.Script, job.Command = "", []string{c.command}
		}
		if err := d.Submit(t.Context(), local(c.settings), job, b); err != nil {
			t.Fatal(err)
		}
		st := waitFor(t, d, name)
		if st.Cause != target.CauseStart || !strings.Contains(st.Reason, c.want) {
			t.Errorf("%s: got %+v, want %q", name, st, c.want)
		}
	}
}
