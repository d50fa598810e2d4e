//go:build !linux

package jobdir

import "syscall"

// Without /proc a process cannot be told from a later one with the same pid,
// and what left its group cannot be found. The lock still tells whether the
// supervisor lives, and pids are only used while it does.

// BootID is not known here.
func BootID() string { return "" }

// carries takes the word of the lock: who writes the line holds it.
func carries(int, string) bool { return true }

// killAll kills the group of dir while its supervisor lives. The supervisor
// kills the group itself when it ends.
func killAll(dir string) int {
	if held, err := lockHeld(dir); err != nil || !held {
		return 0
	}
	l, _ := readLife(dir)
	if l.pid > 1 {
		_ = syscall.Kill(-l.pid, syscall.SIGKILL)
	}
	return 0
}
