//go:build !linux

package tracking

import "syscall"

// readable reports whether something waits to be read from a file, without waiting for
// it.
func readable(fd uintptr) bool {
	q, err := syscall.Kqueue()
	if err != nil {
		return false
	}
	defer syscall.Close(q)
	change := make([]syscall.Kevent_t, 1)
	syscall.SetKevent(&change[0], int(fd), syscall.EVFILT_READ, syscall.EV_ADD)
	n, _ := syscall.Kevent(q, change, make([]syscall.Kevent_t, 1), &syscall.Timespec{})
	return n > 0
}
