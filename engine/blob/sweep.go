package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// Grace is how long content stays that was just used, whoever refers to it: it may
// be meant for a run that has not begun.
const Grace = 24 * time.Hour

// Item is one thing in a store.
type Item struct {
	Name  string // the digest of content, in hex; the name of a record; of what else there is, its path in the store
	Bytes int64
	Used  time.Time
}

// step is called between the steps of a sweep, so that tests can do something there.
var step = func(name string) {}

// Sweep removes the content for which keep says no, and tells of each; with dry it
// only tells. Others may use the store all the while, and it may be killed at any
// moment. keep is asked again about what is removed, after nobody can mark it as
// used any more without being noticed: it must go by the time.
func (s Folder) Sweep(ctx context.Context, dry bool, keep func(Item) bool, gone func(Item)) error {
	if err := s.emptyTrash(ctx, dry, keep, gone); err != nil {
		return err
	}
	return each(ctx, filepath.Join(s.dir, "sha256"), func(path string, i Item) error {
		if i.Name = filepath.Base(path); !digestPattern.MatchString(i.Name) || keep(i) {
			return nil
		}
		if dry {
			gone(i)
			return nil
		}
		return s.discard(i, keep, gone)
	})
}

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Forget removes content at once. It is for whoever has put it there and knows that
// nobody else refers to it.
func (s Folder) Forget(ref target.Ref) error {
	if !ref.Valid() || ref.IsTree() {
		return fmt.Errorf("%q is not the name of a stored file", ref)
	}
	return os.Remove(s.path(ref))
}

// emptyTrash decides about what a sweep has left that was killed.
func (s Folder) emptyTrash(ctx context.Context, dry bool, keep func(Item) bool, gone func(Item)) error {
	return each(ctx, filepath.Join(s.dir, "trash"), func(path string, i Item) error {
		if i.Name = filepath.Base(path); !digestPattern.MatchString(i.Name) {
			return nil
		}
		if dry {
			if !keep(i) {
				gone(i)
			}
			return nil
		}
		return s.look(i, keep, gone)
	})
}

// discard moves content aside and removes it unless it was used meanwhile.
func (s Folder) discard(i Item, keep func(Item) bool, gone func(Item)) error {
	ref := target.Ref("sha256:" + i.Name)
	if err := os.MkdirAll(filepath.Dir(s.trash(ref)), 0o700); err != nil {
		return err
	}
	step("before")
	if err := os.Rename(s.path(ref), s.trash(ref)); err != nil {
		return passed(err)
	}
	step("aside")
	return s.look(i, keep, gone)
}

// look looks at content in the trash for the last time.
func (s Folder) look(i Item, keep func(Item) bool, gone func(Item)) error {
	ref := target.Ref("sha256:" + i.Name)
	info, err := os.Stat(s.trash(ref))
	if err != nil {
		return passed(err)
	}
	if i.Used, i.Bytes = info.ModTime(), info.Size(); keep(i) {
		s.restore(ref)
		return nil
	}
	step("removing")
	if err := os.Remove(s.trash(ref)); err != nil {
		return passed(err)
	}
	gone(i)
	return nil
}

// passed lets pass that somebody else has moved a file.
func passed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SweepRecords removes the records that were not used since before. Whoever reads one
// meanwhile marks what it names as used, so that losing the record costs a run its
// cache and nothing else.
func (s Folder) SweepRecords(ctx context.Context, dry bool, before time.Time, gone func(Item)) error {
	return s.removeOld(ctx, "records", dry, before, gone)
}

// SweepUnfinished removes what writers have left behind that were killed.
func (s Folder) SweepUnfinished(ctx context.Context, dry bool, before time.Time, gone func(Item)) error {
	return s.removeOld(ctx, "tmp", dry, before, gone)
}

func (s Folder) removeOld(ctx context.Context, sub string, dry bool, before time.Time, gone func(Item)) error {
	return each(ctx, filepath.Join(s.dir, sub), func(path string, i Item) error {
		if !i.Used.Before(before) {
			return nil
		}
		if !dry {
			if err := os.Remove(path); err != nil {
				return passed(err)
			}
		}
		rel, err := filepath.Rel(s.dir, path)
		if i.Name = filepath.ToSlash(rel); err == nil {
			gone(i)
		}
		return err
	})
}

// Records calls f with each record that was used since since, without marking it as used.
func (s Folder) Records(ctx context.Context, since time.Time, f func(text []byte)) error {
	return each(ctx, filepath.Join(s.dir, "records"), func(path string, i Item) error {
		if i.Used.Before(since) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			f(text)
		}
		return passed(err)
	})
}

// each calls f with every regular file below a folder, which need not exist.
func each(ctx context.Context, dir string, f func(path string, i Item) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return passed(err)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return passed(err)
		}
		return f(path, Item{Bytes: info.Size(), Used: info.ModTime()})
	})
}
