// Package pyenv makes virtual environments of Python with the standard tools, once
// for each content, and finds them again.
//
// An environment is a folder, named by the digest of all that it was made from:
//
//	<digest>/lock              locked (flock) by whoever makes the environment
//	<digest>/venv/             the virtual environment; it cannot be moved, so it is made where it stays
//	<digest>/requirements.txt  what pip was asked for
//	<digest>/log               all that venv and pip said
//	<digest>/made.json         written last: the environment is complete; what is in it
//	<digest>/made.aside        made.json while the environment is being removed
//	<digest>/failed            why the last try was in vain, for those who waited for it
//	<digest>/work/lock         locked by the processes of a try as long as they live, also when their maker was killed
//	<digest>/work/group        the process group of those
//	<digest>/work/tmp/         TMPDIR of those
//
// Nothing of this package is needed to use one: it is a path. Removing the folder
// of an environment that no job uses is always safe.
package pyenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// Folder keeps environments, each below its digest. It is an absolute path.
type Folder string

// step is called between the steps of making, so that tests can die there.
var step = func(name string) {}

// Make returns the virtual environment that p asks for: the one that is there, or
// one that is made now, which may take minutes and stops when ctx ends. Whoever
// asks for the same at the same time waits for the first. host is what the
// submitting shell had; what only pip needs, such as a proxy or an index with its
// password, is taken from this process and from pip's own files, and kept nowhere.
//
// An error that trying again cannot mend wraps target.ErrPermanent.
func (f Folder) Make(ctx context.Context, p target.Python, host map[string]string) (venv string, err error) {
	lines, err := Lines(p)
	if err != nil {
		return "", err
	}
	env := Environ(host, os.Environ())
	python, err := find(ctx, p.Version, env)
	if err != nil {
		return "", err
	}
	m := &maker{dir: filepath.Join(string(f), Digest(python, lines)), python: python, lines: lines, env: env, what: Name(p)}
	if m.take() {
		return m.venv(), nil
	}
	if err := m.make(ctx); err != nil {
		return "", err
	}
	return m.venv(), nil
}

// Name says in a few words what p asks for.
func Name(p target.Python) string {
	lines, err := Lines(p)
	if err != nil || len(lines) == 0 {
		return "no packages"
	}
	var names []string
	for _, l := range lines {
		if name := projectOf(l); name != "" {
			names = append(names, name)
		}
	}
	if n := len(names); n > 4 {
		names = append(names[:3], fmt.Sprintf("%d more", n-3))
	}
	return strings.Join(names, ", ")
}

// Activate makes env that of a process inside the environment: its programs come
// first, whatever else PATH says.
func Activate(env map[string]string, venv string) {
	path := filepath.Join(venv, "bin")
	if rest := env["PATH"]; rest != "" {
		path += string(os.PathListSeparator) + rest
	}
	env["PATH"], env["VIRTUAL_ENV"] = path, venv
	delete(env, "PYTHONHOME") // it would point every python at another library
}
