package jobdir

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Lock waits until no one else holds the lock of the file at path, which it makes
// if need be, and takes it. Closing the file gives it back, and so does the end of
// this process.
func Lock(ctx context.Context, path string) (*os.File, error) {
	return acquire(ctx, path, 0, func() bool { return false })
}

// acquire is Lock, but it gives up, with no file, when enough says so.
func acquire(ctx context.Context, path string, flags int, enough func() bool) (*os.File, error) {
	for {
		f, err := tryLock(path, flags|os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		if enough() {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// TryLock opens and locks the file at path, and fails with EWOULDBLOCK when another
// holds it in a way that excludes how (syscall.LOCK_EX or LOCK_SH). The kernel frees
// the lock of a process that dies.
func TryLock(path string, how int) (*os.File, error) {
	return tryLock(path, os.O_CREATE|os.O_RDWR, how)
}

func tryLock(path string, flags, how int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
