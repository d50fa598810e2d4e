package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// A store may be used by several state folders, and only who starts runs knows what
// they need. So each leaves its name in users/ before its first run.

// Claim notes that the state folder home, known as user, has runs that use the store.
// Doing it again changes nothing.
func (s Folder) Claim(user, home string) error {
	path := filepath.Join(s.dir, "users", user)
	if exists(path) {
		return nil
	}
	if !target.ValidID(user) {
		return fmt.Errorf("%q cannot name a user of a store", user)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note who uses the store %q: %w", s.dir, err)
	}
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "user-*")
	if err != nil {
		return fmt.Errorf("note who uses the store %q: %w", s.dir, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(home + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = errors.Join(os.Rename(tmp.Name(), path), syncDir(filepath.Dir(path)))
	}
	return err
}

// Users tells the state folders that have used the store, by the names they go by.
func (s Folder) Users() (map[string]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "users"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	homes := map[string]string{}
	for _, e := range entries {
		text, readErr := os.ReadFile(filepath.Join(s.dir, "users", e.Name()))
		err = errors.Join(err, readErr)
		homes[e.Name()] = strings.TrimSpace(string(text))
	}
	return homes, err
}
