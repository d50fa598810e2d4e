package gateway

import (
	"context"
	"os"
	"syscall"
	"time"
)

// Fallen waits for the end of the gateway of dir, and reports it; it is false when there is
// none, or ctx has ended. The kernel tells who holds the writing end of a pipe that nobody
// reads any more, however the reader has ended.
func Fallen(ctx context.Context, dir string) bool {
	f, err := os.OpenFile(pipePath(dir), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	ended := false
	err = raw.Read(func(uintptr) bool {
		ended = !heard(dir)
		return ended
	})
	return err == nil && ended && ctx.Err() == nil
}

// heard reports whether a gateway reads its pipe, and tells it nothing.
func heard(dir string) bool {
	fd, err := syscall.Open(pipePath(dir), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	_ = syscall.Close(fd)
	return true
}
