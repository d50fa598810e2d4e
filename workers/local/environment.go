package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/pyenv"
	"github.com/amlflow/amlflow/workers/target"
)

// awaitsFile is there while a job waits for its environment, and says for which.
const awaitsFile = "awaits"

// environments is where the Python environments of this computer are kept.
func (d Driver) environments() pyenv.Folder { return pyenv.Folder(filepath.Join(d.Dir, "envs")) }

// supported refuses what processes of this computer cannot be given.
func supported(name string, e *target.Environment) error {
	if e == nil || e.Image == "" {
		return nil
	}
	return fmt.Errorf("target %q runs no container images, and it is to use %q: choose a target that does, or a `python` environment: %w", name, e.Image, target.ErrPermanent)
}

// equip makes the environment of the job, or finds it, and returns where it is. A
// note says so meanwhile, because it may take minutes; the log is the job's alone,
// and does not tell a first run from a second.
func (f folder) equip(ctx context.Context, envs pyenv.Folder, job target.Job) (venv string, err error) {
	if job.Environment == nil || job.Environment.Python == nil {
		return "", nil
	}
	p := *job.Environment.Python
	note := fmt.Sprintf("waiting for its Python environment (%s)", pyenv.Name(p))
	if err := os.WriteFile(f.path(awaitsFile), []byte(note), 0o600); err != nil {
		return "", err
	}
	venv, err = envs.Make(ctx, p, job.Host)
	if gone := os.Remove(f.path(awaitsFile)); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return venv, err
}

// awaited says what a job waits for whose folder is not complete; mostly nothing.
func (f folder) awaited() string {
	text, _ := os.ReadFile(f.path(awaitsFile))
	return strings.TrimSpace(string(text))
}
