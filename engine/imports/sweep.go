package imports

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// use marks a unit as used now. Where that cannot be written down it is fetched again
// one day, which does no harm.
func use(unit string) {
	now := time.Now()
	_ = os.Chtimes(unit, now, now)
}

// Unit is one template or pipeline, with what it ships, that is kept in the state folder.
type Unit struct {
	Name  string // its path below the folder of templates, with slashes
	Bytes int64
}

// Sweep removes the units below the state folder home that nothing has used since
// before, and calls gone for each; with dry it only calls. What is wanted again is
// fetched again.
func Sweep(ctx context.Context, home string, dry bool, before time.Time, gone func(Unit)) error {
	cache := filepath.Join(home, "templates")
	var places []string
	for _, pattern := range []string{"git/*/*", "builtin/*"} {
		some, err := filepath.Glob(filepath.Join(cache, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		places = append(places, some...)
	}
	for _, place := range places {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !old(place, before) {
			continue
		}
		u := Unit{Name: place, Bytes: sizeOf(place)}
		if rel, err := filepath.Rel(cache, place); err == nil {
			u.Name = filepath.ToSlash(rel)
		}
		removed := dry
		if !dry {
			var err error
			if removed, err = discard(cache, place, before); err != nil {
				return err
			}
		}
		if removed {
			gone(u)
		}
	}
	return nil
}

func old(place string, before time.Time) bool {
	info, err := os.Lstat(place)
	return err == nil && info.IsDir() && info.ModTime().Before(before)
}

// discard moves a unit aside and removes it, unless it was used meanwhile.
func discard(cache, place string, before time.Time) (bool, error) {
	tmp := filepath.Join(cache, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp(tmp, "gone-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	aside := filepath.Join(dir, "unit")
	if err := os.Rename(place, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // somebody else was quicker
		}
		return false, err
	}
	if old(aside, before) {
		_ = os.Remove(filepath.Dir(place)) // of a commit, once it is empty
		return true, nil
	}
	return false, os.Rename(aside, place)
}

func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what has gone meanwhile takes no room
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
