package tracking

import "syscall"

// readable reports whether something waits to be read from a file, without waiting for
// it.
func readable(fd uintptr) bool {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer syscall.Close(ep)
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)} //nolint:gosec // a descriptor is small
	if syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, int(fd), &event) != nil {
		return false
	}
	n, _ := syscall.EpollWait(ep, make([]syscall.EpollEvent, 1), 0)
	return n > 0
}
