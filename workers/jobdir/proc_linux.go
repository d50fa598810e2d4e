package jobdir

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// BootID names this run of the machine: it changes with every start.
func BootID() string { return bootID() }

var bootID = sync.OnceValue(func() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
})

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
// is none, and returns how many may still be there.
func killAll(dir string) int {
	left := 0
	for round := range 5 {
		time.Sleep(time.Duration(round*round) * time.Millisecond / 4)
		if left = killMarked(dir); left == 0 {
			return 0
		}
	}
	return left
}

func killMarked(dir string) (found int) {
	all := processes.ask()
	pids := all.marked[dir]
	if l, _ := readLife(dir); l.supervisor() > 0 {
		pids = append(pids, l.supervisor())
	}
	for _, pid := range pids {
		if pid != os.Getpid() && killExactly(pid, []byte("\x00"+Mark+"="+dir+"\x00")) {
			found++
		}
	}
	return found + all.unclear
}

// killExactly kills pid if it carries the mark once we hold on to it, and reports
// whether it does: what os.FindProcess returns is a descriptor of the process,
// which never means another one that got the same number later (pidfd_open(2)).
func killExactly(pid int, mark []byte) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	env, err := environment(pid, nil)
	if err != nil || !bytes.Contains(env, mark) {
		return false
	}
	_ = p.Signal(syscall.SIGKILL)
	return true
}
