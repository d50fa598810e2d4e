package jobdir

import (
	"bytes"
	"os"
	"slices"
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

// carries reports whether pid was started with the mark of dir. A pid alone is
// never trusted: it may have been given again.
func carries(pid int, dir string) bool {
	env, err := environment(pid, nil)
	return err == nil && bytes.Contains(env, []byte("\x00"+Mark+"="+dir+"\x00"))
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
	if l, _ := readLife(dir); !slices.Contains(pids, l.pid) && l.supervisor(dir) > 0 {
		pids = append(slices.Clone(pids), l.pid) // they are others' pids, too
	}
	for _, pid := range pids {
		if pid != os.Getpid() && killExactly(pid, dir) {
			found++
		}
	}
	return found + all.unclear
}

// killExactly kills pid if it carries the mark once we hold on to it, and reports
// whether it does: what os.FindProcess returns is a descriptor of the process,
// which never means another one that got the same number later (pidfd_open(2)).
func killExactly(pid int, dir string) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	if !carries(pid, dir) {
		return false
	}
	_ = p.Signal(syscall.SIGKILL)
	return true
}
