//go:build !linux

package jobdir

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Without /proc a process cannot be told from a later one with the same pid,
// and what left its group cannot be found. The lock still tells whether the
// supervisor lives, and pids are only used while it does.

// BootID is not known here.
func BootID() string { return "" }

func statLine(pid int) string { return "" }

func startTicks(stat string) string { return "" }

// killAll kills the group of dir while its supervisor lives. The supervisor
// kills the group itself when it ends.
func killAll(dir string) int {
	if held, err := lockHeld(dir); err != nil || !held {
		return 0
	}
	text, _ := os.ReadFile(filepath.Join(dir, startedFile))
	pid, _, _ := strings.Cut(string(text), "\n")
	if n, err := strconv.Atoi(pid); err == nil && n > 1 {
		_ = syscall.Kill(-n, syscall.SIGKILL)
	}
	return 0
}
