package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A service that is killed and started again finds the job as it is.
func TestServiceIsKilled(t *testing.T) {
	r := onPodman(t)
	shared := t.TempDir()
	x := newTable(t, r, map[string]any{"volumes": []string{shared + ":/shared"}})
	x.submit(target.Job{ID: "long", Script: "echo on; while [ ! -e /shared/go ]; do sleep 0.05; done; exit 9"}, &targettest.Blobs{})
	x.logHas("long", "on\n")
	before := x.status("long")
	r.engine.Kill()
	if _, err := x.d.Status(t.Context(), x.t, "long"); err == nil || !strings.Contains(err.Error(), "start it") {
		t.Errorf("without a service: %v", err)
	}
	if err := r.engine.Serve(); err != nil {
		t.Fatal(err)
	}
	if st := x.status("long"); st.State != target.Running || !st.Start.Equal(before.Start) {
		t.Errorf("got %+v, before %+v", st, before)
	}
	if err := os.WriteFile(filepath.Join(shared, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if st := x.wait("long"); st.Exit != 9 || x.log("long") != "on\n" {
		t.Errorf("got %+v, log %q", st, x.log("long"))
	}
}

// The process that watches over a container is killed together with the container.
// Podman takes it for running until it is asked to stop it, and nobody knows how the job
// ended.
func TestWatcherIsKilled(t *testing.T) {
	r := onPodman(t)
	x := newTable(t, r, nil)
	for id, end := range map[string]func(e *engine, container string){
		"cancelled": func(*engine, string) { x.cancel("cancelled") },
		"lost":      func(e *engine, container string) { _ = e.terminate(t.Context(), container, 0) },
	} {
		x.submit(target.Job{ID: id, Script: "echo on; sleep 60"}, &targettest.Blobs{})
		x.logHas(id, "on\n")
		e := r.engineOf(t)
		f, err := e.find(t.Context(), id)
		if err != nil || f.box == nil {
			t.Fatalf("%+v, %v", f, err)
		}
		for _, pid := range []int{monitorOf(t, f.box.ID), f.box.State.Pid} {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		end(e, f.box.ID)
		if st := x.wait(id); string(st.State) != id || x.log(id) != "on\n" {
			t.Errorf("%s: got %+v, log %q", id, st, x.log(id))
		}
	}
}

// monitorOf finds Podman's conmon of a container.
func monitorOf(t *testing.T, container string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, _ := os.ReadFile(path)
		if argv := bytes.Split(text, []byte{0}); filepath.Base(string(argv[0])) == "conmon" && bytes.Contains(text, []byte(container)) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("there is no conmon")
	return 0
}
