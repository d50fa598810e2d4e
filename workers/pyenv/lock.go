package pyenv

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockWhenFree waits until nobody else holds the lock at path and takes it. The
// waits get longer: making takes minutes, and many jobs may wait for it.
func lockWhenFree(ctx context.Context, path string) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		lock, err := tryLock(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// tryLock opens and locks the file at path, and fails with EWOULDBLOCK when
// another holds it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
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

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
