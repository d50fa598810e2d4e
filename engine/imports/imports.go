// Package imports finds the templates and pipelines that files use: beside them,
// among those that come with amlflow, and in git repositories, which a lock pins.
package imports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// Options says where to look, and what may be done to find something.
type Options struct {
	Dir       string // the folder of the file that a person named
	Workspace string // the folder that paths must stay in, and that holds the lock
	Home      string // the state folder; what was fetched is kept below it
	Fetch     bool   // use the network, keep what came, and add to the lock
	Locked    bool   // what the lock does not have is refused
	Offline   bool   // what is not on this computer is refused
}

// Importer finds files for schema.Link. Everything that it gives was read with the
// checks of its source: see files, builtin and remote.
type Importer struct {
	o   Options
	dir string // absolute, of the file that a person named
	*state
}

// state is what importers of the same workspace share.
type state struct {
	ctx    context.Context
	root   string // absolute
	cache  string
	file   string // the lock's
	lock   *schema.Lock
	broken bool                     // the lock has mistakes, and is left as it is
	old    []schema.Locked          // the lock as it was read
	repos  map[string]*repository   // by address
	seen   map[string]schema.Locked // what was used, by reference
}

// New reads the lock. Its mistakes are findings.
func New(ctx context.Context, o Options) (*Importer, diag.Findings, error) {
	dir, err := filepath.Abs(o.Dir)
	root, err2 := filepath.Abs(o.Workspace)
	if err := errors.Join(err, err2); err != nil {
		return nil, nil, err
	}
	im := &Importer{o: o, dir: dir, state: &state{
		ctx: ctx, root: root, cache: filepath.Join(o.Home, "templates"), file: filepath.Join(root, schema.LockName), lock: &schema.Lock{},
		repos: map[string]*repository{}, seen: map[string]schema.Locked{},
	}}
	lock, findings, err := readLock(im.file, im.shown(im.file))
	if err != nil {
		return nil, nil, err
	}
	im.lock, im.broken = lock, findings.Bad()
	im.old = slices.Clone(lock.Entries)
	return im, findings, nil
}

// maxLock bounds what is read of a lock before its own checks refuse it.
const maxLock = 4 << 20

func readLock(file, name string) (*schema.Lock, diag.Findings, error) {
	text, err := readPlain(os.DirFS(filepath.Dir(file)), filepath.Base(file), maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return &schema.Lock{}, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", name, err)
	}
	lock, findings := schema.ReadLock(name, text)
	return lock, findings, nil
}

// For is the importer for a file in another folder of the same workspace.
func (im *Importer) For(dir string) (*Importer, error) {
	abs, err := filepath.Abs(dir)
	o := im.o
	o.Dir = dir
	return &Importer{o: o, dir: abs, state: im.state}, err
}

// Close removes what was only needed to fetch.
func (im *Importer) Close() error {
	var errs []error
	for _, r := range im.repos {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	clear(im.repos)
	if im.o.Fetch {
		sweep(im.cache)
	}
	return errors.Join(errs...)
}

// origin is the note in schema.Import.Origin: what kind of place a file came from.
type origin struct {
	dir     string      // of a file of the workspace: its absolute folder
	ref     *schema.Ref // of a file of a repository
	commit  string
	builtin bool
}

// Import implements schema.Importer.
func (im *Importer) Import(kind, text string, from schema.Import) (string, []byte, schema.Import, *diag.Finding) {
	r, problem := schema.ParseRef(kind, text)
	if problem != nil {
		return "", nil, schema.Import{}, problem
	}
	at, _ := from.Origin.(origin)
	switch {
	case r.Builtin != "":
		return im.builtin(r.Builtin)
	case at.builtin:
		return refuse("bad-reference", "use builtin/NAME", "a template that comes with amlflow uses only others that do, not %q", text)
	case r.Repo != "" && r.Local() && at.ref != nil && !at.ref.Local():
		return refuse("bad-reference", "name the repository by https or ssh", "a template from another computer cannot name a folder of this one: %q", text)
	case r.Repo != "":
		return im.remote(kind, r, "")
	case at.ref != nil:
		beside, ok := at.ref.Beside(r.Path)
		if !ok {
			return refuse("bad-reference", "a template from git uses files of its own repository", "%q leads out of the repository of %q", text, at.ref)
		}
		return im.remote(kind, beside, at.commit)
	}
	return im.local(kind, r.Path, first(at.dir, im.dir))
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// refuse is the answer of an import that found a mistake.
func refuse(code diag.Code, hint, format string, args ...any) (string, []byte, schema.Import, *diag.Finding) {
	return "", nil, schema.Import{}, problem(code, hint, format, args...)
}

func problem(code diag.Code, hint, format string, args ...any) *diag.Finding {
	return &diag.Finding{Severity: diag.Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// shown is a path as the person would write it who named the first file.
func (im *Importer) shown(abs string) string {
	rel, err := filepath.Rel(im.dir, abs)
	if err != nil {
		return abs
	}
	return filepath.Join(im.o.Dir, rel)
}

// Lock is the lock as it stands, with what was found since it was read.
func (im *Importer) Lock() *schema.Lock { return im.lock }

// Forget has references looked up anew, with all files of the same repository at the
// same tag or branch.
func (im *Importer) Forget(refs ...schema.Ref) {
	for _, r := range refs {
		for _, e := range slices.Clone(im.lock.Entries) {
			other, problem := schema.ParseRef("template", e.Ref)
			if problem == nil && other.Repo == r.Repo && other.At == r.At {
				im.lock.Remove(e.Ref)
			}
		}
	}
}

// Save writes what has changed into the lock, and says what that is.
func (im *Importer) Save() ([]string, error) {
	was := schema.Lock{Entries: im.old}
	now := schema.Lock{Entries: im.lock.Entries}
	if im.broken || slices.Equal(was.Entries, now.Entries) {
		return nil, nil
	}
	disk, findings, err := readLock(im.file, im.shown(im.file))
	if err != nil || findings.Bad() {
		return nil, errors.Join(err, findings.Err())
	}
	notes := merge(disk, was, now, im.shown(im.file))
	if err := disk.Write(im.file); err != nil {
		return nil, err
	}
	im.old, im.lock.Entries = slices.Clone(disk.Entries), disk.Entries
	return notes, nil
}

// merge brings into the file's lock what changed from was to now: another command may
// have written it meanwhile.
func merge(disk *schema.Lock, was, now schema.Lock, file string) (notes []string) {
	for _, e := range was.Entries {
		if _, kept := now.Find(e.Ref); !kept {
			disk.Remove(e.Ref)
			notes = append(notes, fmt.Sprintf("removed %s from %s", e.Ref, file))
		}
	}
	for _, e := range now.Entries {
		before, had := was.Find(e.Ref)
		if before == e {
			continue
		}
		disk.Set(e)
		if had {
			notes = append(notes, fmt.Sprintf("locked %s at commit %s (was %s) in %s", e.Ref, Short(e.Commit), Short(before.Commit), file))
		} else {
			notes = append(notes, fmt.Sprintf("locked %s at commit %s in %s", e.Ref, Short(e.Commit), file))
		}
	}
	return notes
}

// Short is the beginning of a commit, enough for people.
func Short(commit string) string { return commit[:min(len(commit), 12)] }
