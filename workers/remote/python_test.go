package remote

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// fakePython counts what it is called for in the folder $PIP_FAKE, makes an environment
// that is a copy of itself, and installs when the file "hold" is gone: in vain when there
// is a file "fail", which it says.
const fakePython = `#!/bin/sh
case "$*" in
*"import os"*) printf 'cpython\n3.9.7\nfake\nlinux-x86_64\n%s\n' "$0" ;;
*"-m venv"*)
	for dir; do :; done
	mkdir -p "$dir/bin" && cp "$0" "$dir/bin/python" ;;
*install*)
	echo x >>"$PIP_FAKE/installs"
	while [ -e "$PIP_FAKE/hold" ]; do sleep 0.01; done
	[ ! -e "$PIP_FAKE/fail" ] || { cat "$PIP_FAKE/fail"; exit 1; } ;;
esac
`

// equipped is a machine whose only Python is the fake one, and the folder in which it counts.
func equipped(t *testing.T) (m *Machine, say string) {
	t.Helper()
	bin := t.TempDir()
	say = t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte(fakePython), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIP_FAKE", say)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	m, _ = here(t)
	return m, say
}

func note(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func installs(say string) int {
	text, _ := os.ReadFile(filepath.Join(say, "installs"))
	return strings.Count(string(text), "x")
}

var six = target.Python{Version: "3.9", Packages: []string{"six==1.16.0"}}

func TestOneEnvironmentForAllThatAskForTheSame(t *testing.T) {
	m, say := equipped(t)
	found := make([]string, 20)
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			venv, err := m.Python(t.Context(), six)
			if err != nil {
				t.Error(err)
			}
			found[i] = venv
		})
	}
	all.Wait()
	for _, venv := range found {
		if venv != found[0] || venv == "" {
			t.Fatalf("got %q", found)
		}
	}
	if _, err := os.Stat(filepath.Join(found[0], "bin", "python")); err != nil || installs(say) != 1 {
		t.Errorf("%d installations, %v", installs(say), err)
	}
	again, err := New(m.shell, m.dir).Python(t.Context(), six) // as another program
	if again != found[0] || err != nil || installs(say) != 1 {
		t.Errorf("another program got %q after %d installations, %v", again, installs(say), err)
	}
}

// Whoever makes an environment may be killed; the next one does not wait for ever.
func TestAMakerOfAnEnvironmentThatIsKilledIsReplaced(t *testing.T) {
	m, say := equipped(t)
	note(t, filepath.Join(say, "hold"), "")
	ctx, kill := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := m.Python(ctx, six)
		first <- err
	}()
	for installs(say) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	kill() // the shell that runs the verb is killed with the command
	if err := <-first; err == nil {
		t.Fatal("it ended well")
	}
	if err := os.Remove(filepath.Join(say, "hold")); err != nil {
		t.Fatal(err)
	}
	venv, err := m.Python(t.Context(), six)
	if err != nil || venv == "" {
		t.Fatal(venv, err)
	}
}

func TestWhyAnEnvironmentCannotBeMade(t *testing.T) {
	m, say := equipped(t)
	_, err := m.Python(t.Context(), target.Python{Version: "3.8"})
	if !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "only 3.9.7 (") {
		t.Errorf("a version that is not there: %v", err)
	}
	for said, want := range map[string]struct {
		words string
		final bool
	}{
		"ERROR: No matching distribution found for six":    {"No matching distribution found for six: the index has nothing by this name", true},
		"NewConnectionError: Connection refused\nERROR: x": {"the package index did not answer", false},
	} {
		note(t, filepath.Join(say, "fail"), said+"\n")
		_, err := m.Python(t.Context(), six)
		if err == nil || !strings.Contains(err.Error(), want.words) || !strings.Contains(err.Error(), `(six) cannot be made with Python 3.9.7`) || errors.Is(err, target.ErrPermanent) != want.final {
			t.Errorf("%q: got %v", said, err)
		}
	}
	if err := os.Remove(filepath.Join(say, "fail")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Python(t.Context(), six); err != nil {
		t.Errorf("once it can be made: %v", err)
	}
	if names, _ := filepath.Glob(filepath.Join(m.dir, "envs", "*", "*")); len(names) != 2 {
		t.Errorf("the tries have left %q", names)
	}
}

func TestARealEnvironmentElsewhere(t *testing.T) {
	if exec.Command("python3", "-c", "import venv, ensurepip").Run() != nil {
		t.Skip("SKIP: no python3 that makes environments: apt-get install -y python3 python3-venv")
	}
	m, _ := here(t)
	venv, err := m.Python(t.Context(), target.Python{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(venv+"/bin/python", "-c", "import sys; print(sys.prefix)").Output()
	if got := strings.TrimSpace(string(out)); got != venv || err != nil {
		t.Errorf("it is in %q, %v, and not in %q", got, err, venv)
	}
}
