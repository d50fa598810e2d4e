package pyenv

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// lockWhenFree waits until nobody else holds the lock at path and takes it. The
// waits get longer: making takes minutes, and many jobs may wait for it.
func lockWhenFree(ctx context.Context, path string) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		lock, err := jobdir.TryLock(path, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
