// Package snapshot turns the code folders of a pipeline into artifacts, so that
// a run does not change when somebody edits a script.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/target"
)

// The bounds of a code folder. Data belongs into inputs, not beside the code.
const (
	maxFiles = 50_000
	maxBytes = 1 << 30
)

// Take stores the folder and returns its name. What .amlflowignore lists, or
// .gitignore when there is none, is left out, in the folder and in those below it,
// and so are the folders in leave: a state folder below the code would make every
// run's code differ.
func Take(ctx context.Context, b target.Blobs, dir string, leave ...string) (target.Ref, error) {
	s := newSieve(dir, leave)
	files, bytes := 0, int64(0)
	var over error
	keep := func(path string, isDir bool) bool {
		if over != nil || s.left(path, isDir) != nil {
			return false
		}
		if info, err := os.Lstat(filepath.Join(dir, path)); err == nil && info.Mode().IsRegular() {
			files++
			bytes += info.Size()
		}
		if files > maxFiles || bytes > maxBytes {
			over = fmt.Errorf("the code folder %q holds more than %d files or %d MiB: list what is not code in .amlflowignore, or name a smaller folder in `code`: %w", dir, maxFiles, maxBytes>>20, target.ErrPermanent)
		}
		return over == nil
	}
	ref, err := target.PutTree(ctx, b, dir, keep)
	if err := errors.Join(over, s.err, err); err != nil {
		return "", fmt.Errorf("take the code in %q: %w", dir, err)
	}
	return ref, nil
}
