package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// StoreFile is the store of the workspace in the folder dir.
func StoreFile(dir string) string { return filepath.Join(dir, ".amlflow", "secrets.age") }

// Store is the encrypted file of a workspace.
type Store struct {
	Home string // the state folder, which has the key
	Path string
}

// mostStored bounds a store's file, before anything of it is decoded.
const mostStored = 16 << 20

// Names lists what the store holds. A store that does not exist holds nothing.
func (s Store) Names() ([]string, error) {
	values, err := s.read("")
	return slices.Sorted(maps.Keys(values)), err
}

// Set keeps a value under a name, in place of what it had before.
func (s Store) Set(ctx context.Context, name, value string) error {
	if err := check([]byte(value)); err != nil {
		return fmt.Errorf("the value of secret %q: %w", name, err)
	}
	return s.change(ctx, func(values map[string][]byte) bool {
		values[name] = []byte(value)
		return true
	})
}

// Remove forgets a name, and reports whether there was one.
func (s Store) Remove(ctx context.Context, name string) (found bool, err error) {
	if _, err := os.Stat(s.Path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = s.change(ctx, func(values map[string][]byte) bool {
		_, found = values[name]
		delete(values, name)
		return found
	})
	return found && err == nil, err
}

// change reads the store, has it changed and writes it, alone among all that do.
func (s Store) change(ctx context.Context, edit func(map[string][]byte) bool) error {
	dir := filepath.Dir(s.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	release, err := lock(ctx, dir)
	if err != nil {
		return fmt.Errorf("lock %q: %w", dir, err)
	}
	defer release()
	values, err := s.read("")
	if err != nil || !edit(values) {
		return err
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return s.write(text)
}

func (s Store) write(text []byte) error {
	keys, err := storeKey(s.Home)
	if err != nil {
		return err
	}
	if text, err = encrypt(text, keys); err != nil {
		return err
	}
	if len(text) > mostStored {
		return fmt.Errorf("%q would have %d bytes, and at most %d are read again", s.Path, len(text), mostStored)
	}
	return jobdir.WriteDurable(filepath.Dir(s.Path), filepath.Base(s.Path), text)
}

// read decrypts the store, with one more key than those of this process.
func (s Store) read(key string) (map[string][]byte, error) {
	values := map[string][]byte{}
	text, err := readFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := storeKeys(s.Home, key)
	if err != nil {
		return nil, err
	}
	text, err = decrypt(text, keys)
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("read %q: %w: set $%s to the file %s of the computer where it was made", s.Path, err, KeyFileVar, filepath.Base(KeyFile("")))
	}
	if err == nil && json.Unmarshal(text, &values) != nil {
		err = errDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", s.Path, err)
	}
	return values, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > mostStored) {
		err = fmt.Errorf("%q is not an encrypted file of secrets", path)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// lock holds the folder dir itself, so that nothing is left in a workspace.
func lock(ctx context.Context, dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
