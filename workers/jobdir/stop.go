package jobdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrRunning is what Remove refuses with.
var ErrRunning = errors.New("it is still running")

// stop is the record of a wish to end the process.
type stop struct {
	Cause string        `json:"cause"`
	Grace time.Duration `json:"grace"`
	// At is the time of the file: read from the same coarse clock as the time of
	// the exit record, so that the two can be compared.
	At time.Time `json:"-"`
}

func readStop(dir string) (stop, bool, error) {
	var s stop
	ok, err := readJSON(dir, stopFile, &s)
	if !ok || err != nil {
		return s, ok, err
	}
	info, err := os.Stat(filepath.Join(dir, stopFile))
	if err == nil {
		s.At = info.ModTime()
	}
	return s, true, err
}

// Stop asks the process of the existing folder dir to end: TERM to its group
// now and, by the Look that first finds the grace to be over, KILL to all that
// is left. A process that has not started never will. The cause of the first
// Stop stays; one that comes after the end changes nothing.
func Stop(dir, cause string, grace time.Duration) error {
	if l, err := readLife(dir); err != nil || l.end != nil || l.exited {
		return err
	}
	if err := writeFirst(dir, stopFile, stop{Cause: cause, Grace: grace}); err != nil {
		return fmt.Errorf("ask it to stop: %w", err)
	}
	held, err := lockHeld(dir)
	if err == nil && !held {
		err = dropSecrets(dir) // of a start that died: with the wish there is no other
	}
	if err != nil || !held {
		return err
	}
	l, err := readLife(dir)
	if pid := l.supervisor(dir); pid > 0 {
		err = syscall.Kill(-pid, syscall.SIGTERM)
		syscall.Kill(-pid, syscall.SIGCONT) // one that is stopped could not act on it
	}
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	return err
}

// Stopping reports whether the process of dir was asked to stop.
func Stopping(dir string) bool { return exists(dir, stopFile) }

// Kill ends all that carries the mark of dir, without a word to any record: for a folder
// whose records cannot be read.
func Kill(dir string) error {
	if left := killAll(dir); left > 0 {
		return fmt.Errorf("%d processes of %q are still there: %w", left, dir, ErrRunning)
	}
	return nil
}

// Release gives up the limits of dir, so that nothing but the folder is left. It
// refuses with ErrRunning while the process runs. A folder that does not exist is not
// an error.
func Release(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	v, err := Look(dir)
	if err != nil {
		return err
	}
	if v.Phase == Running {
		return ErrRunning
	}
	readLimits(dir).remove()
	return nil
}

// Remove deletes the folder dir and its limits. It refuses with ErrRunning while
// the process runs. Removing a folder that does not exist is not an error.
func Remove(dir string) error {
	if err := Release(dir); err != nil {
		return err
	}
	return RemoveTree(dir)
}

// RemoveTree is os.RemoveAll that also manages folders a job made read-only, and
// those into which someone puts a file meanwhile, before he finds that it is removed.
func RemoveTree(dir string) error {
	for range 20 {
		if err := removeTree(dir); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return removeTree(dir)
}

func removeTree(dir string) error {
	if err := os.RemoveAll(dir); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d == nil || !d.IsDir() {
			return nil
		}
		// A folder that could not be read is visited again once it can be.
		return os.Chmod(path, 0o700)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
