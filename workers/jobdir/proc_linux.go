package jobdir

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// BootID names this run of the machine: it changes with every start.
func BootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// statLine returns the line of the kernel about pid; see proc_pid_stat(5).
func statLine(pid int) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return string(text)
}

// startTicks returns field 22 of a stat line: when the process started. With
// the pid it names a process for as long as the machine is up. The result is
// empty for a process that has ended.
func startTicks(stat string) string {
	// The second field is the name in parentheses, which may hold anything.
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}

// killAll kills every process that carries the mark of dir, again until there
// is none, and returns how many are still there.
func killAll(dir string) int {
	left := 0
	for round := range 5 {
		if left = killMarked(dir); left == 0 {
			return 0
		}
		time.Sleep(time.Duration(round) * time.Millisecond)
	}
	return left
}

func killMarked(dir string) (found int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	names, _ := proc.Readdirnames(-1)
	proc.Close()
	mark := []byte("\x00" + Mark + "=" + dir + "\x00")
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() || !marked(pid, mark) {
			continue
		}
		found++
		killExactly(pid, mark)
	}
	return found
}

// marked reports whether the environment that pid was started with has mark. It
// runs for every process of the machine at the end of every job, which is why
// it asks the kernel directly.
func marked(pid int, mark []byte) bool {
	fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/environ", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false // gone, or of another user
	}
	defer syscall.Close(fd)
	env := make([]byte, 1, 8<<10) // starts with the NUL that the first name lacks
	for {
		if len(env) == cap(env) {
			env = slices.Grow(env, len(env))
		}
		n, err := syscall.Read(fd, env[len(env):cap(env)])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return bytes.Contains(env, mark)
		}
		env = env[:len(env)+n]
	}
}

// killExactly kills pid if it carries the mark once we hold on to it: what
// os.FindProcess returns is a descriptor of the process, which never means
// another one that got the same number later (pidfd_open(2)).
func killExactly(pid int, mark []byte) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer func() { _ = p.Release() }()
	if marked(pid, mark) {
		_ = p.Signal(syscall.SIGKILL)
	}
}
