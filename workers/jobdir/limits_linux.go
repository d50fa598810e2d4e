package jobdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Control groups bound what a process and all its children use together. Both
// interfaces of the kernel are spoken: version 1 has one tree of folders for
// each controller, version 2 one for all (cgroups(7)).

// bound is one value to write into a group.
type bound struct{ file, value string }

// limit makes the groups that p asks for. Their names depend on dir only, so
// that a start that was cut off finds them again.
func limit(dir string, p Process) (l limits) {
	if p.Memory == 0 && p.CPUs == 0 {
		return l
	}
	sys := readSystem()
	name := groupName(dir)
	if p.Memory > 0 {
		n := strconv.FormatInt(p.Memory, 10)
		v1 := []bound{{"memory.limit_in_bytes", n}}
		v2 := []bound{{"memory.max", n}}
		swap := []bound{{"memory.memsw.limit_in_bytes", n}, {"memory.swap.max", "0"}}
		if !l.add(sys.group("memory", name, v1, v2)) {
			l.Notes = append(l.Notes, memoryNote(p.Memory))
		} else {
			_ = writeBounds(l.Groups[0], swap) // many systems count no swap
		}
	}
	if p.CPUs > 0 {
		const period = 100_000 // microseconds, the kernel's own default
		quota := strconv.Itoa(max(1000, int(p.CPUs*period)))
		v1 := []bound{{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota}}
		v2 := []bound{{"cpu.max", quota + " " + strconv.Itoa(period)}}
		if !l.add(sys.beside(l.Groups, name, v1, v2)) {
			l.Notes = append(l.Notes, cpuNote(p.CPUs))
		}
	}
	return l
}

// beside is the group for processors, of a process that may be in one for memory. In version
// 2 a process is in one group only: another would let it out of the first.
func (s system) beside(groups []string, name string, v1, v2 []bound) string {
	if len(groups) == 0 || s.mount("cgroup", "cpu") != "" || s.mount("cgroup", "memory") != "" {
		return s.group("cpu", name, v1, v2)
	}
	if g := groups[0]; gives(filepath.Dir(g), "cpu") && writeBounds(g, v2) == nil {
		return g
	}
	return ""
}

func groupName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "amlflow-" + hex.EncodeToString(sum[:8])
}

func (l *limits) add(group string) bool {
	if group != "" && !slices.Contains(l.Groups, group) {
		l.Groups = append(l.Groups, group)
	}
	return group != ""
}

// system is where the kernel keeps control groups and where we stand in them.
type system struct{ mounts, self string }

func readSystem() system {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	self, _ := os.ReadFile("/proc/self/cgroup")
	return system{string(mounts), string(self)}
}

// group makes the group name for a controller below our own and returns its
// folder, or "" where that is not possible.
func (s system) group(controller, name string, v1, v2 []bound) string {
	if mount := s.mount("cgroup", controller); mount != "" {
		return makeGroup(filepath.Join(s.own(mount, controller), name), v1)
	}
	mount := s.mount("cgroup2", "")
	if mount == "" {
		return ""
	}
	// A group that holds processes cannot have children with limits, so the
	// first ancestor that gives the controller to its children is taken.
	for parent := s.own(mount, ""); strings.HasPrefix(parent, mount); parent = filepath.Dir(parent) {
		if gives(parent, controller) {
			if g := makeGroup(filepath.Join(parent, name), v2); g != "" {
				return g
			}
		}
	}
	return ""
}

// mount finds where the hierarchy of a kind (with a controller) is mounted.
func (s system) mount(kind, controller string) string {
	for line := range strings.Lines(s.mounts) {
		f := strings.Fields(line) // device, folder, kind, options; see fstab(5)
		if len(f) >= 4 && f[2] == kind && (controller == "" || slices.Contains(strings.Split(f[3], ","), controller)) {
			return f[1]
		}
	}
	return ""
}

// own returns the folder of the group that this process is in.
func (s system) own(mount, controller string) string {
	for line := range strings.Lines(s.self) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(f) == 3 && slices.Contains(strings.Split(f[1], ","), controller) {
			if dir := filepath.Join(mount, f[2]); isDir(dir) {
				return dir
			}
		}
	}
	return mount // in a container the path may be one that only its host sees
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// gives reports whether the children of a group of version 2 have controller.
func gives(parent, controller string) bool {
	file := filepath.Join(parent, "cgroup.subtree_control")
	text, err := os.ReadFile(file)
	if err == nil && slices.Contains(strings.Fields(string(text)), controller) {
		return true
	}
	return err == nil && writeControl(file, "+"+controller) == nil
}

func makeGroup(dir string, bounds []bound) string {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return ""
	}
	if writeBounds(dir, bounds) != nil {
		os.Remove(dir)
		return ""
	}
	return dir
}

func writeBounds(dir string, bounds []bound) error {
	var errs []error
	for _, b := range bounds {
		errs = append(errs, writeControl(filepath.Join(dir, b.file), b.value))
	}
	return errors.Join(errs...)
}

// writeControl writes a control file, which must exist: the kernel makes it.
func writeControl(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// oomKills tells how many processes of the groups the kernel has killed because
// their memory reached its limit.
func (l limits) oomKills() int {
	kills := 0
	for _, g := range l.Groups {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			text, _ := os.ReadFile(filepath.Join(g, file))
			for line := range strings.Lines(string(text)) {
				if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
					n, _ := strconv.Atoi(f[1])
					kills += n
				}
			}
		}
	}
	return kills
}

// remove deletes the groups. One that is busy has a process that is just
// ending; it is tried again for a moment, and by the next caller.
func (l limits) remove() {
	for _, g := range l.Groups {
		for range 20 {
			if err := syscall.Rmdir(g); !errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}
