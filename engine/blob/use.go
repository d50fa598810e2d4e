package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// How content may be removed while others use the store, without a lock:
//
// The time of a file says when its content was last used. Whoever is about to refer
// to content that is there already marks it so, with freshen. A sweep moves a file
// aside, into trash/, and only then looks at its time once more: what was marked
// before the move is seen and put back, and what is marked after the move finds the
// file in the trash, and takes it back. A sweep that is killed between the two steps
// takes nothing from anybody: what is in the trash can still be opened.

// trash is where content waits for a second look.
func (s Folder) trash(ref target.Ref) string { return filepath.Join(s.dir, "trash", ref.Hex()) }

// freshen marks the content of ref as used now, and reports whether it is there.
func (s Folder) freshen(ref target.Ref) bool {
	now := time.Now()
	err := os.Chtimes(s.path(ref), now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return s.restore(ref)
	}
	return err == nil || exists(s.path(ref)) // another's file: its owner alone may sweep it
}

// restore takes content back that a sweep has moved aside.
func (s Folder) restore(ref target.Ref) bool {
	now := time.Now()
	if os.Chtimes(s.trash(ref), now, now) != nil {
		return exists(s.path(ref)) // somebody else was quicker
	}
	return os.Rename(s.trash(ref), s.path(ref)) == nil || exists(s.path(ref))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Use marks content as used now, of a folder all that is in it, so that no sweep
// takes it for left over. An error says what of it is missing.
func (s Folder) Use(ctx context.Context, ref target.Ref) error {
	all, err := target.Contents(ctx, s, ref)
	if err != nil {
		return err
	}
	for _, part := range all {
		if !s.freshen(part) {
			return fmt.Errorf("%s of artifact %s is not in the store %q: %w", part, ref, s.dir, target.ErrPermanent)
		}
	}
	return nil
}

// UseRecord marks a record as used now.
func (s Folder) UseRecord(_ context.Context, name string) error {
	now := time.Now()
	return os.Chtimes(filepath.Join(s.dir, "records", filepath.FromSlash(name)), now, now)
}

// Has reports whether the content of ref is there, of a folder at least the list of
// its files. It does not mark it as used.
func (s Folder) Has(ref target.Ref) bool {
	return ref.Valid() && (exists(s.path(ref)) || exists(s.trash(ref)))
}
