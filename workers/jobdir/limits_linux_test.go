package jobdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hierarchy makes a folder that looks like control groups, and a system in it.
// Files must exist before they are written, as with the kernel's.
func hierarchy(t *testing.T, kind, options, self string, files ...string) (string, system) {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		name, text, _ := strings.Cut(f, "=")
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, system{mounts: "proc /proc proc rw 0 0\ncgroup " + root + " " + kind + " " + options + " 0 0\n", self: self}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGroupVersion1(t *testing.T) {
	root, s := hierarchy(t, "cgroup", "rw,memory", "4:memory:/a\n3:cpu:/\n", "a/job/memory.limit_in_bytes=")
	got := s.group("memory", "job", []bound{{"memory.limit_in_bytes", "64"}}, nil)
	if got != filepath.Join(root, "a/job") || read(t, got+"/memory.limit_in_bytes") != "64" {
		t.Errorf("got %q", got)
	}
	if got := s.group("cpu", "job", nil, nil); got != "" {
		t.Errorf("a controller that is not mounted gave %q", got)
	}
}

// A group that is ours alone cannot pass memory on while we are in it; the
// nearest ancestor that does is where the new group goes.
func TestGroupVersion2(t *testing.T) {
	root, s := hierarchy(t, "cgroup2", "rw", "0::/user/app/scope\n",
		"cgroup.subtree_control=cpu memory", "user/cgroup.subtree_control=cpu memory\n", "user/app/cgroup.procs=", "user/app/scope/cgroup.procs=",
		"user/job/memory.max=", "user/job/cpu.max=")
	got := s.group("memory", "job", nil, []bound{{"memory.max", "64"}})
	if got != filepath.Join(root, "user/job") || read(t, got+"/memory.max") != "64" {
		t.Errorf("got %q", got)
	}
	if again := s.group("cpu", "job", nil, []bound{{"cpu.max", "50000 100000"}}); again != got {
		t.Errorf("the cpu limit went to %q, the memory limit to %q", again, got)
	}
}

// Where the group for memory has no processors to give, they are not limited: a second group
// would let the process out of the first.
func TestOneGroupOfVersion2(t *testing.T) {
	cpu := []bound{{"cpu.max", "50000 100000"}}
	root, s := hierarchy(t, "cgroup2", "rw", "0::/user/scope\n",
		"cgroup.subtree_control=cpu memory", "user/cgroup.subtree_control=memory", "user/scope/cgroup.procs=",
		"user/job/memory.max=", "user/job/cgroup.procs=", "job/cpu.max=", "job/cgroup.procs=")
	g := s.group("memory", "job", nil, []bound{{"memory.max", "64"}})
	if g != filepath.Join(root, "user/job") {
		t.Fatalf("got %q", g)
	}
	if got := s.beside([]string{g}, "job", nil, cpu); got != "" {
		t.Errorf("it is in %q, too", got)
	}
	if got := s.beside(nil, "job", nil, cpu); got != filepath.Join(root, "job") {
		t.Errorf("without memory it is in %q", got)
	}
}

func TestGroupElsewhere(t *testing.T) {
	for name, s := range map[string]system{
		"nothing mounted": {mounts: "proc /proc proc rw 0 0\n", self: "0::/\n"},
		"not ours": func() system {
			_, s := hierarchy(t, "cgroup2", "rw", "0::/user\n", "user/cgroup.procs=")
			return s
		}(),
	} {
		if got := s.group("memory", "job", nil, []bound{{"memory.max", "64"}}); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestOOMKillsAreCounted(t *testing.T) {
	root, _ := hierarchy(t, "cgroup2", "rw", "", "v2/memory.events=low 0\noom 4\noom_kill 3\noom_group_kill 0\n", "v1/memory.oom_control=oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
	if n := (limits{Groups: []string{root + "/v2", root + "/v1", root + "/gone"}}).oomKills(); n != 5 {
		t.Errorf("got %d", n)
	}
}

func TestUnitsOfBytes(t *testing.T) {
	for n, want := range map[int64]string{64 << 20: "64Mi", 1 << 30: "1Gi", 1536 << 20: "1536Mi", 1000: "1000 bytes", 1 << 40: "1Ti"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
