package pyenv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// How an environment is removed while jobs may ask for it: whoever takes one that is
// complete marks it by the time of made.json. Remove takes the lock of makers, puts
// made.json aside and only then looks at its time; who comes later finds no
// made.json, and waits for the lock. It is removed for good before anything else is,
// so that one that is aside always belongs to a whole environment.

// asideFile is made.json while Remove looks at the environment for the last time.
const asideFile = "made.aside"

// Env is an environment that is there.
type Env struct {
	Digest string
	Venv   string
	Bytes  int64
	Used   time.Time
}

// Kept lists the environments, also those that were not completed.
func (f Folder) Kept() ([]Env, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Env
	for _, e := range entries {
		m := maker{dir: filepath.Join(string(f), e.Name())}
		info, err := os.Stat(m.path(madeFile))
		if err != nil {
			info, err = os.Stat(m.venv())
		}
		if err == nil {
			all = append(all, Env{Digest: e.Name(), Venv: m.venv(), Bytes: jobdir.Size(m.dir), Used: info.ModTime()})
		}
	}
	return all, err
}

// Remove removes an environment, and reports whether it did: one that is being made,
// or was taken since before, stays. Nobody may use it any more. The lock stays, for
// those who wait for it.
func (f Folder) Remove(digest string, before time.Time) (bool, error) {
	m := maker{dir: filepath.Join(string(f), digest)}
	if !filepath.IsLocal(digest) || !exists(m.dir) {
		return false, nil
	}
	lock, err := jobdir.TryLock(m.path(lockFile), syscall.LOCK_EX)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := m.takeBack(); err != nil {
		return false, err
	}
	if exists(m.path(madeFile)) {
		if err := os.Rename(m.path(madeFile), m.path(asideFile)); err != nil {
			return false, err
		}
		step("aside")
		info, err := os.Stat(m.path(asideFile))
		if err != nil || !info.ModTime().Before(before) {
			return false, errors.Join(err, m.takeBack())
		}
		if err := os.Remove(m.path(asideFile)); err != nil {
			return false, err
		}
	}
	return true, m.strip()
}

// strip removes all but the locks.
func (m *maker) strip() error {
	entries, err := os.ReadDir(m.dir)
	for _, e := range entries {
		if e.Name() != lockFile && e.Name() != workDir {
			err = errors.Join(err, jobdir.RemoveTree(m.path(e.Name())))
		}
	}
	return err
}

// takeBack undoes what a Remove began that was killed, or found the environment used.
func (m *maker) takeBack() error {
	err := os.Rename(m.path(asideFile), m.path(madeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// take marks the environment as used now, and reports whether it is complete.
func (m *maker) take() bool {
	now := time.Now()
	return os.Chtimes(m.path(madeFile), now, now) == nil && m.ready()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
