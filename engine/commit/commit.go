// Package commit reads the files of a git commit, and runs nothing that the
// repository asks for: no hook, filter, monitor or remote.
package commit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience bounds one call of git.
const patience = 5 * time.Minute

// ErrNone says that there is no such commit, or no repository that could have it.
var ErrNone = fmt.Errorf("there is no commit: %w", fs.ErrNotExist)

// Repository is a folder that git looks after.
type Repository struct {
	Top string // its uppermost folder, without links
}

// Of finds the repository that a folder is in.
func Of(ctx context.Context, dir string) (*Repository, error) {
	var out bytes.Buffer
	if err := git(ctx, dir, nil, &out, "rev-parse", "--show-toplevel"); err != nil {
		return nil, fmt.Errorf("%q is in no git repository that can be read (%w): %w", dir, err, fs.ErrNotExist)
	}
	top, err := filepath.EvalSymlinks(strings.TrimSuffix(out.String(), "\n"))
	return &Repository{top}, err
}

// Resolve gives the commit that a name stands for: a branch, a tag, HEAD~2.
func (r *Repository) Resolve(ctx context.Context, name string) (string, error) {
	var out bytes.Buffer
	if err := git(ctx, r.Top, nil, &out, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err != nil {
		return "", fmt.Errorf("%w %q in %q", ErrNone, name, r.Top)
	}
	return strings.TrimSpace(out.String()), nil
}

// git runs git in a folder, apart from what its user's environment may have for it.
func git(ctx context.Context, dir string, in io.Reader, out io.Writer, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fixed := []string{"--no-pager", "-C", dir, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null",
		"-c", "protocol.allow=never", "-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"}
	c := exec.CommandContext(ctx, "git", append(fixed, args...)...)
	c.Env, c.Stdin, c.Stdout = environ(os.Environ()), in, out
	c.WaitDelay = 5 * time.Second
	var words bytes.Buffer
	c.Stderr = &words
	err := c.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("git is not installed")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(words.String()), "\n"); first != "" {
		return fmt.Errorf("git: %s", first)
	}
	return fmt.Errorf("git: %w", err)
}

// environ leaves out all that would have git work elsewhere or in another way, and
// forbids it to ask, to fetch what is missing, and to use the machine's own config.
// The user's stays: it says which folders of others are trusted.
func environ(user []string) []string {
	var env []string
	for _, kv := range user {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GIT_") && name != "GIT_CONFIG_GLOBAL" && name != "GIT_EXEC_PATH" || name == "LC_ALL" || name == "LANGUAGE" {
			continue
		}
		env = append(env, kv)
	}
	return append(env, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_NO_REPLACE_OBJECTS=1")
}
