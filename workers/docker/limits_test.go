package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"

	"github.com/moby/moby/client"
)

// onBoth asks of both engines.
func onBoth(t *testing.T, ask func(t *testing.T, r rig)) {
	t.Run("podman", func(t *testing.T) { ask(t, onPodman(t)) })
	t.Run("docker", func(t *testing.T) { ask(t, onDocker(t)) })
}

func TestMemoryIsLimited(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r, map[string]any{"memory": "64Mi"})
		x.submit(target.Job{ID: "fat", Script: "head -c 200000000 /dev/zero | tail -n 1 >/dev/null"}, &targettest.Blobs{})
		if st := x.wait("fat"); st.Cause != target.CauseOOM || !strings.Contains(st.Reason, "64Mi") {
			t.Errorf("got %+v", st)
		}
	})
}

func TestProcessesAreLimited(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r, map[string]any{"pids": 16})
		x.submit(target.Job{ID: "many", Script: "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; echo all"}, &targettest.Blobs{})
		if st := x.wait("many"); st.State != target.Failed || !strings.Contains(x.log("many"), "fork") {
			t.Errorf("got %+v, log %q", st, x.log("many"))
		}
	})
}

const looksAround = `id -u
grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -s '\t ' ' '
touch /outside 2>/dev/null || echo read-only
for dir in . "$HOME" "$TMPDIR" /tmp "$AMLFLOW_OUTPUT_OUT"; do touch "$dir/x" && rm "$dir/x"; done
echo changed >>file; cat file
echo '{}' >"$AMLFLOW_OUTPUTS"
`

// Whoever a job runs as, it has no privileges, and can write where it must.
func TestJobsHaveNoPrivileges(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		in := &targettest.Blobs{}
		code, err := target.PutTree(t.Context(), in, folderOf(t, "file", "mine\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for user, uid := range map[string]string{"": "0", "nobody": "65534", "99:98": "99"} {
			more := map[string]any{}
			if user != "" {
				more["user"] = user
			}
			x := newTable(t, r, more)
			id := "user" + uid
			x.submit(target.Job{
				ID: id, Script: looksAround + `[ "$TOKEN" = hidden ]`, Code: code, Secrets: map[string]string{"TOKEN": "hidden"},
				Outputs: []target.Artifact{{Name: "out", Type: target.Folder}},
			}, in)
			want := uid + "\nCapEff: 0000000000000000\nNoNewPrivs: 1\nread-only\nmine\nchanged\n"
			if st := x.wait(id); st.State != target.Succeeded || x.log(id) != want {
				t.Errorf("%q: got %+v, log %q, want %q", user, st, x.log(id), want)
			}
		}
		x := newTable(t, r, map[string]any{"read_only": false})
		x.submit(target.Job{ID: "writes", Script: "touch /etc/mine"}, in)
		if st := x.wait("writes"); st.State != target.Succeeded {
			t.Errorf("got %+v", st)
		}
	})
}

// Inspecting shows neither secrets nor variables.
func TestInspectingShowsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r, nil)
		x.submit(target.Job{ID: "open", Script: `echo "$TOKEN" | wc -c; sleep 60`, Env: map[string]string{"PLAIN": "5up3r-plain"}, Secrets: map[string]string{"TOKEN": "5up3r-hidden"}}, &targettest.Blobs{})
		x.logHas("open", "13")
		e := r.engineOf(t)
		all, err := e.containers(t.Context(), "open")
		if err != nil || len(all) != 1 {
			t.Fatalf("%d containers, %v", len(all), err)
		}
		box, err := e.ContainerInspect(t.Context(), all[0].ID, client.ContainerInspectOptions{})
		if err != nil || !bytes.Contains(box.Raw, []byte(all[0].ID)) || bytes.Contains(box.Raw, []byte("5up3r")) {
			t.Errorf("it shows %s, %v", box.Raw, err)
		}
	})
}

// A timeout holds although nobody looks at the job.
func TestTimeoutWithoutWorker(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r, nil)
		x.submit(target.Job{ID: "late", Script: "trap '' TERM; while :; do sleep 0.1; done", Timeout: time.Second, Grace: time.Second}, &targettest.Blobs{})
		x.submit(target.Job{ID: "later", Script: "trap 'echo saved; exit 3' TERM; while :; do sleep 0.1; done", Timeout: time.Second, Grace: time.Minute}, &targettest.Blobs{})
		for id, signal := range map[string]int{"late": 9, "later": 0} {
			x.endsAlone(id)
			if st := x.status(id); st.State != target.Failed || st.Cause != target.CauseTimeout || st.Signal != signal || !strings.Contains(st.Reason, "1s") {
				t.Errorf("%s: got %+v, log %q", id, st, x.log(id))
			}
		}
	})
}

// endsAlone waits for the end of a job without the driver.
func (x table) endsAlone(id string) {
	x.Helper()
	e := x.r.engineOf(x.T)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		f, err := e.find(x.Context(), id)
		if err != nil {
			x.Fatal(err)
		}
		if f.box != nil && started(f.box) && !running(f.box) {
			return
		}
	}
	x.Fatalf("job %s did not end: %+v", id, x.status(id))
}

// When the first process of a container ends, so do all, also those that left its
// session.
func TestNothingOutlivesTheContainer(t *testing.T) {
	r := onPodman(t)
	x := newTable(t, r, nil)
	x.submit(target.Job{ID: "daemon", Script: "trap '' TERM\nsetsid sleep 86399.5 &\necho on; exit 4"}, &targettest.Blobs{})
	if st := x.wait("daemon"); st.Exit != 4 || x.log("daemon") != "on\n" {
		t.Errorf("got %+v", st)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, path := range lines {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte("86399.5")) {
			t.Errorf("%s outlived the job: %q", path, text)
		}
	}
}

// A cleaned job leaves its mark, and sweeping it leaves nothing.
func TestNothingIsLeft(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r, nil)
		x.submit(target.Job{ID: "tidy", Script: "echo", Secrets: map[string]string{"X": "hidden"}}, &targettest.Blobs{})
		if st := x.wait("tidy"); st.State != target.Succeeded {
			t.Errorf("got %+v", st)
		}
		if err := x.d.Clean(t.Context(), x.t, "tidy"); err != nil {
			t.Fatal(err)
		}
		if left := r.left(t); len(left) != 1 || left[0] != "volume amlflow-tidy" {
			t.Errorf("left: %q", left)
		}
		// The engine that was used is found without a target.
		all, err := x.d.Kept(t.Context(), target.Target{Kind: "docker"})
		if err != nil || len(all) != 1 || all[0].What != target.KeptMark {
			t.Fatalf("kept: %+v, %v", all, err)
		}
		// What belongs to another state folder is none of this one's business.
		if others, err := (Driver{Dir: t.TempDir()}).Kept(t.Context(), x.t); err != nil || len(others) != 0 {
			t.Errorf("another folder keeps %+v, %v", others, err)
		}
		if gone, err := x.d.Sweep(t.Context(), target.Target{Kind: "docker"}, all[0], time.Now().Add(time.Hour)); !gone || err != nil {
			t.Errorf("swept: %v, %v", gone, err)
		}
		if left := r.left(t); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}
