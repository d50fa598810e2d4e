// Package snapshot turns the code folders of a pipeline into artifacts, so that
// a run does not change when somebody edits a script.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/target"

	ignore "github.com/sabhiram/go-gitignore"
)

// The bounds of a code folder. Data belongs into inputs, not beside the code.
const (
	maxFiles = 50_000
	maxBytes = 1 << 30
)

// always is never part of code: histories, state and caches.
var always = []string{".git/", ".amlflow/", "__pycache__/", ".venv/", "node_modules/", ".pytest_cache/", ".mypy_cache/", ".DS_Store"}

// Take stores the folder and returns its name. What .amlflowignore lists, or
// .gitignore when there is none, is left out, and so are the folders in leave:
// a state folder below the code would make every run's code differ.
func Take(ctx context.Context, b target.Blobs, dir string, leave ...string) (target.Ref, error) {
	rules, err := rulesOf(dir)
	if err != nil {
		return "", err
	}
	left := within(dir, leave)
	files, bytes := 0, int64(0)
	var over error
	keep := func(path string, isDir bool) bool {
		if over != nil || left[path] || rules.MatchesPath(path) || isDir && rules.MatchesPath(path+"/") {
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
	if err := errors.Join(over, err); err != nil {
		return "", fmt.Errorf("take the code in %q: %w", dir, err)
	}
	return ref, nil
}

// within turns those of the folders that lie in dir into paths relative to it.
func within(dir string, folders []string) map[string]bool {
	in := map[string]bool{}
	root, err := filepath.Abs(dir)
	if err != nil {
		return in
	}
	for _, f := range folders {
		if abs, err := filepath.Abs(f); err == nil {
			if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) && rel != "." {
				in[filepath.ToSlash(rel)] = true
			}
		}
	}
	return in
}

func rulesOf(dir string) (*ignore.GitIgnore, error) {
	for _, name := range []string{".amlflowignore", ".gitignore"} {
		path := filepath.Join(dir, name)
		rules, err := ignore.CompileIgnoreFileAndLines(path, always...)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", path, err)
		}
		return rules, nil
	}
	return ignore.CompileIgnoreLines(always...), nil
}
