package ssh

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// fat takes much more memory than it says it needs; what it begins it holds in a child.
const fat = "echo begun; head -c 400000000 /dev/zero | tail -n 1 >/dev/null"

// limited is a host that makes control groups or, barred, one that does not let its user.
func limited(t *testing.T, barred bool) bench {
	t.Helper()
	var r *rig
	if barred {
		if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
			t.Skip("SKIP: this user may make no mount namespace, in which there are no control groups: run the test as root, with unshare of util-linux")
		}
		r = startServerAs(t, func(*rig) []string {
			return []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs none /sys/fs/cgroup && exec "$@"`, "sh"}
		})
	} else {
		r = startServer(t)
	}
	dir := workdir(t)
	return bench{rig: r, dir: dir, t: r.target(t, dir, nil)}
}

func (b bench) needs(t *testing.T, d Driver, id, script string, needs target.Resources) {
	t.Helper()
	if err := d.Submit(t.Context(), b.t, target.Job{ID: id, Script: script, Needs: needs}, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Cancel(context.Background(), b.t, id, target.CauseCancel) })
}

// unit is the file of a job's unit on the host.
func (b bench) unit(id, name string) string { return filepath.Join(b.dir, "jobs", id, name) }

// A job that takes more memory than it asked for is ended, and that was why; the groups that
// held it are gone with it. One that takes less is left alone.
func TestMemoryIsHeld(t *testing.T) {
	for name, barred := range map[string]bool{"in a group": false, "watched": true} {
		t.Run(name, func(t *testing.T) {
			b, d := limited(t, barred), driver(t)
			script := fat
			if barred { // what is looked at must last
				script = "echo begun; (head -c 400000000 /dev/zero; sleep 60) | tail -n 1 >/dev/null"
			}
			b.needs(t, d, "fat", script, target.Resources{Memory: 64 << 20})
			b.needs(t, d, "lean", "echo begun", target.Resources{Memory: 64 << 20})
			st := b.until(t, d, "fat", ended)
			if !barred && exists(b.unit("fat", "watched")) {
				t.Skipf("SKIP: this user may make no control groups: run the test as root where /sys/fs/cgroup can be written: %q", st.Notes)
			}
			if st.State != target.Failed || st.Cause != target.CauseOOM || !strings.Contains(st.Reason, "64Mi") || !strings.HasPrefix(b.log(t, d, "fat"), "begun\n") {
				t.Errorf("got %+v, log %q", st, b.log(t, d, "fat"))
			}
			if barred != strings.Contains(strings.Join(st.Notes, "\n"), "once a second") {
				t.Errorf("it notes %q", st.Notes)
			}
			if st := b.until(t, d, "lean", ended); st.State != target.Succeeded {
				t.Errorf("got %+v", st)
			}
			for _, id := range []string{"fat", "lean"} {
				groups, _ := os.ReadFile(b.unit(id, "groups"))
				for g := range strings.Lines(string(groups)) {
					if exists(strings.TrimSpace(g)) {
						t.Errorf("the group %s is left", strings.TrimSpace(g))
					}
				}
			}
		})
	}
}

// Processors are limited by the group that the job is in, and where there is none it is noted.
func TestProcessorsAreHeld(t *testing.T) {
	for name, barred := range map[string]bool{"in a group": false, "barred": true} {
		t.Run(name, func(t *testing.T) {
			b, d := limited(t, barred), driver(t)
			b.needs(t, d, "slow", `cat /proc/self/cgroup; while [ ! -e ../../go ]; do sleep 0.05; done`, target.Resources{CPUs: 0.5})
			st := b.until(t, d, "slow", func(st target.Status) bool { return ended(st) || b.log(t, d, "slow") != "" })
			noted := strings.Contains(strings.Join(b.status(t, d, "slow").Notes, "\n"), "cpus are not limited")
			if !barred && exists(b.unit("slow", "unlimited")) {
				t.Skipf("SKIP: this user may make no control groups: run the test as root where /sys/fs/cgroup can be written: %q", st.Notes)
			}
			if noted != barred {
				t.Errorf("it notes %q", b.status(t, d, "slow").Notes)
			}
			if !barred {
				groups, err := os.ReadFile(b.unit("slow", "groups"))
				if err != nil {
					t.Fatal(err)
				}
				g := strings.TrimSpace(string(groups))
				v1, _ := os.ReadFile(g + "/cpu.cfs_quota_us")
				v2, _ := os.ReadFile(g + "/cpu.max")
				if got := string(v1) + string(v2); got != "50000\n" && got != "50000 100000\n" {
					t.Errorf("the group %s has %q", g, got)
				}
				if !strings.Contains(b.log(t, d, "slow"), filepath.Base(g)+"\n") {
					t.Errorf("it is not in the group %s, but in %q", g, b.log(t, d, "slow"))
				}
			}
			if err := os.WriteFile(b.unit("slow", "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if st := b.until(t, d, "slow", ended); st.State != target.Succeeded {
				t.Errorf("got %+v", st)
			}
		})
	}
}

// Memory that several processes of a job share counts once, where it is watched.
func TestSharedMemoryCountsOnce(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIP: there is no python3: apt-get install -y python3")
	}
	b, d := limited(t, true), driver(t)
	b.needs(t, d, "forks", "exec "+python+` - <<'END'
import os, time
held = bytearray(b"x" * (100 << 20))
for _ in range(4):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(3.5)
os.kill(0, 15)
END
`, target.Resources{Memory: 250 << 20})
	if st := b.until(t, d, "forks", ended); st.Cause != target.CauseSignal || st.Signal != 15 {
		t.Errorf("got %+v", st)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
