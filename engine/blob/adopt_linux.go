package blob

import (
	"os"
	"syscall"
	"time"
)

// unwritten reports whether no one has the file open for writing: only then does the
// kernel give a read lease on it (fcntl(2), F_SETLEASE). What is about to die may hold
// it open for a moment longer.
func unwritten(f *os.File) bool {
	const setLease = 1024
	for pause := time.Millisecond / 8; pause < 10*time.Millisecond; pause *= 2 {
		_, _, err := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setLease, syscall.F_RDLCK)
		if err == 0 {
			_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setLease, syscall.F_UNLCK)
			return true
		}
		if err != syscall.EAGAIN {
			return false
		}
		time.Sleep(pause)
	}
	return false
}
