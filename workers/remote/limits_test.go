package remote

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes files in a folder that looks like control groups: the kernel's are there before
// anybody writes to them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// limit has the tool limit the unit u, whose files are in the folder f, and then look whether
// it was starved.
func limit(t *testing.T, dir string, more ...string) {
	t.Helper()
	text, err := toolFiles.ReadFile("tool/limits.sh")
	if err != nil {
		t.Fatal(err)
	}
	script := string(text) + "\n" + strings.Join(more, "\n") + `
kernel=$PWD u=u fill=f memory=1000 quota=50000
limit
if starved; then : >u/starved; fi
`
	c := exec.Command("/bin/sh", "-c", script)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
}

// Version 2 has one tree. A group that has processes gives its children nothing, so that the
// nearest one above it that does is where the new group is.
func TestControlGroupsOfVersion2(t *testing.T) {
	dir := tree(t, map[string]string{
		"mounts": "proc /proc proc rw 0 0\ncgroup2 DIR/cg cgroup2 rw,nosuid,nsdelegate 0 0\n", "cgroup": "0::/user/app.slice/a\\x2db.scope\n",
		"cg/cgroup.subtree_control": "cpu memory\n", "cg/user/cgroup.subtree_control": "cpu memory\n", "cg/user/app.slice/cgroup.procs": "",
		`cg/user/app.slice/a\x2db.scope/cgroup.procs`: "", "u/x": "",
		"cg/user/amlflow-f/memory.max": "max\n", "cg/user/amlflow-f/memory.swap.max": "max\n", "cg/user/amlflow-f/cpu.max": "max 100000\n", "cg/user/amlflow-f/cgroup.procs": "",
		"cg/user/amlflow-f/memory.events": "low 0\nmax 3\noom_kill 1\n",
	})
	limit(t, dir)
	for name, want := range map[string]string{"memory.max": "1000\n", "memory.swap.max": "0\n", "cpu.max": "50000 100000\n", "cgroup.procs": "0\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, "cg/user/amlflow-f", name)); string(got) != want {
			t.Errorf("%s has %q, want %q, %v", name, got, want, err)
		}
	}
	groups, _ := os.ReadFile(filepath.Join(dir, "u/groups"))
	if want := dir + "/cg/user/amlflow-f\n"; string(groups) != want {
		t.Errorf("its groups are %q, want %q", groups, want)
	}
	if got := names(t, filepath.Join(dir, "u")); got != "groups starved x" {
		t.Errorf("got %s", got)
	}
}

// A process is in one group of version 2 only: a second one would let it out of the first. So
// the group is where both limits can be, and where there is no such place memory comes first.
func TestOneGroupOfVersion2(t *testing.T) {
	group := func(at string) map[string]string {
		return map[string]string{at + "/memory.max": "max\n", at + "/cpu.max": "max\n", at + "/cgroup.procs": ""}
	}
	for want, above := range map[string]string{"cg/amlflow-f": "cpu memory\n", "cg/user/amlflow-f": "\n"} {
		files := map[string]string{"mounts": "cgroup2 DIR/cg cgroup2 rw 0 0\n", "cgroup": "0::/user/x\n", "cg/user/x/cgroup.procs": "", "cg/user/x/cgroup.subtree_control": "\n", "cg/user/cgroup.subtree_control": "memory\n", "cg/cgroup.subtree_control": above, "u/x": ""}
		maps.Copy(files, group("cg/user/amlflow-f"))
		maps.Copy(files, group("cg/amlflow-f"))
		dir := tree(t, files)
		limit(t, dir, `gives() { read -r given <"$1/cgroup.subtree_control"; case " $given " in *" $2 "*) ;; *) return 1 ;; esac; }`) // the kernel gives no more
		for _, at := range []string{"cg/user/amlflow-f", "cg/amlflow-f"} {
			text, err := os.ReadFile(filepath.Join(dir, at, "cgroup.procs"))
			if in := string(text) == "0\n"; in != (at == want) || err != nil {
				t.Errorf("above it gives %q: it is in %s: %v", above, at, in)
			}
		}
		if got := names(t, filepath.Join(dir, "u")); strings.Contains(got, "unlimited") == (above != "\n") {
			t.Errorf("above it gives %q: got %s", above, got)
		}
	}
}

// Where nothing lets us in, memory is watched, and no group is left.
func TestNoControlGroups(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":     {"mounts": "proc /proc proc rw 0 0\n", "cgroup": "0::/\n", "u/watched": ""},
		"not ours": {"mounts": "cgroup2 DIR/cg cgroup2 rw 0 0\n", "cgroup": "0::/user\n", "cg/user/cgroup.subtree_control": "cpu memory\n", "cg/cgroup.procs": "", "u/x": ""},
		"read only": {"mounts": "cgroup2 DIR/cg cgroup2 ro 0 0\n", "cgroup": "0::/user\n", "cg/user/cgroup.subtree_control": "cpu memory\n",
			"cg/user/amlflow-f/memory.max": "max\n", "cg/user/amlflow-f/cgroup.procs": "", "u/x": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, files)
			limit(t, dir)
			if got := names(t, filepath.Join(dir, "u")); !strings.Contains(got, "unlimited") || !strings.Contains(got, "watched") || strings.Contains(got, "starved") {
				t.Errorf("got %s", got)
			}
			if _, err := os.Stat(filepath.Join(dir, "cg/user/amlflow-f")); (err == nil) != (name == "read only") {
				t.Errorf("the group: %v", err)
			}
		})
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
