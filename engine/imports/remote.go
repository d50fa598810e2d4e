package imports

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// remote gives a file of a repository. The lock says which commit and content it is;
// parent is the commit of the file that names this one, when both are of the same
// repository, and "" otherwise.
func (im *Importer) remote(kind string, r schema.Ref, parent string) (string, []byte, schema.Import, *diag.Finding) {
	e, locked := im.lock.Find(r.String())
	if locked && parent != "" && e.Commit != parent {
		return refuse("template-changed", "run `amlflow template update`, which locks both at one commit",
			"the lock has %q at commit %s, and the file that uses it at %s", r, Short(e.Commit), Short(parent))
	}
	var problem *diag.Finding
	if locked {
		problem = im.ensure(kind, r, e)
	} else {
		e, problem = im.unlocked(kind, r, parent)
	}
	if problem != nil {
		return "", nil, schema.Import{}, problem
	}
	unit := im.unit(r, e.Commit)
	text, err := readPlain(os.DirFS(unit), path.Base(r.Inside), maxText)
	if err != nil {
		return refuse("template-changed", "remove that folder, and it is fetched again", "the copy of %q in %q cannot be read: %s", r, unit, err)
	}
	im.seen[r.String()] = e
	in := schema.Import{Key: r.String() + " " + e.Commit, Folder: unit, Files: os.DirFS(unit), Origin: origin{ref: &r, commit: e.Commit}}
	return r.String(), text, in, nil
}

// unit is where a file of a commit, and what it ships, is kept.
func (im *Importer) unit(r schema.Ref, commit string) string {
	name := sha256.Sum256([]byte(r.Repo + "//" + r.Inside))
	return filepath.Join(im.cache, "git", commit, fmt.Sprintf("%x", name[:8]))
}

// ensure has the file of an entry on this computer, exactly as it was locked.
func (im *Importer) ensure(kind string, r schema.Ref, e schema.Locked) *diag.Finding {
	unit := im.unit(r, e.Commit)
	if isFolder(unit) {
		got, err := digest(os.DirFS(unit))
		if err != nil {
			got = err.Error()
		}
		if got == e.Digest {
			use(unit)
			return nil
		}
		return problem("template-changed", fmt.Sprintf("remove %s, and it is fetched again; when that gives the same, `amlflow template update %s` locks it anew", unit, r),
			"the copy of %q on this computer is not what was locked: the lock says %s, and the copy has %s", r, e.Digest, got)
	}
	if !im.o.Fetch {
		return problem("template-unreachable", "`amlflow template add` fetches what the lock names", "%q is locked at commit %s, and is not on this computer yet", r, Short(e.Commit))
	}
	return im.restore(kind, r, e)
}

// restore fetches what was locked. A tag that leads elsewhere by now is refused, even
// where the old commit can still be had: tags are not supposed to move.
func (im *Importer) restore(kind string, r schema.Ref, e schema.Locked) *diag.Finding {
	name, now, problem := im.resolve(r)
	switch {
	case problem != nil && problem.Code != "missing-template":
		return problem
	case problem == nil && now != e.Commit && isTag(name):
		return im.moved(kind, r, e, name, now)
	}
	made, problem := im.extract(kind, r, e.Commit, name)
	if problem != nil {
		return problem
	}
	got, err := made.digest()
	if err == nil && got == e.Digest {
		return im.store(made, r, e.Commit)
	}
	_ = made.drop()
	return changed(r, e, schema.Locked{Commit: e.Commit, Digest: first(got, "nothing")})
}

func changed(r schema.Ref, was, now schema.Locked) *diag.Finding {
	return problem("template-changed", fmt.Sprintf("look at what changed; if it is meant, run `amlflow template update %s`", r),
		"%q is not what was locked: the lock says commit %s, %s, and it is now commit %s, %s", r, Short(was.Commit), was.Digest, Short(now.Commit), now.Digest)
}

// moved says what a tag leads to now.
func (im *Importer) moved(kind string, r schema.Ref, e schema.Locked, name, commit string) *diag.Finding {
	now := schema.Locked{Commit: commit, Digest: "which lacks the file"}
	if made, problem := im.extract(kind, r, commit, name); problem == nil {
		now.Digest, _ = made.digest()
		_ = made.drop()
	}
	return changed(r, e, now)
}

// unlocked finds a file that the lock does not have, and adds it.
func (im *Importer) unlocked(kind string, r schema.Ref, parent string) (schema.Locked, *diag.Finding) {
	e := schema.Locked{Ref: r.String(), Commit: parent}
	if e.Commit == "" && r.IsCommit() {
		e.Commit = r.At
	}
	switch {
	case im.o.Locked:
		return e, notLocked(r, parent)
	case !im.o.Fetch && e.Commit != "" && isFolder(im.unit(r, e.Commit)):
		return e, nil // a commit never changes: what was fetched of it is right
	case !im.o.Fetch:
		return e, notLocked(r, parent)
	}
	name := ""
	if e.Commit == "" {
		var problem *diag.Finding
		if name, e.Commit, problem = im.resolve(r); problem != nil {
			return e, problem
		}
	}
	made, problem := im.extract(kind, r, e.Commit, name)
	if problem != nil {
		return e, problem
	}
	var err error
	if e.Digest, err = made.digest(); err != nil {
		_ = made.drop()
		return e, unreachable(r, err)
	}
	if problem := im.replace(made, r, e); problem != nil {
		return e, problem
	}
	im.lock.Set(e)
	return e, nil
}

func notLocked(r schema.Ref, parent string) *diag.Finding {
	hint := fmt.Sprintf("run `amlflow template add %s`, and commit %s", r, schema.LockName)
	if parent != "" {
		hint = fmt.Sprintf("run `amlflow template update`, and commit %s", schema.LockName)
	}
	return problem("template-not-locked", hint, "%s does not say which commit %q is", schema.LockName, r)
}

func unreachable(r schema.Ref, err error) *diag.Finding {
	return problem("template-unreachable", "check the address, the network and how git logs in; what was fetched once is not fetched again", "%q cannot be fetched: %s", r, err)
}

// resolve asks the repository for the commit of a tag or branch, once for all files.
func (im *Importer) resolve(r schema.Ref) (name, commit string, bad *diag.Finding) {
	if im.o.Offline {
		return "", "", problem("template-unreachable", "leave out --offline, or lock and fetch it first with `amlflow template add`", "%q is not on this computer, and nothing is fetched with --offline", r)
	}
	if r.IsCommit() {
		return "", r.At, nil
	}
	tips, err := im.repository(r.Repo).names(im.ctx)
	if err != nil {
		return "", "", unreachable(r, err)
	}
	for _, name := range []string{"refs/tags/" + r.At, "refs/heads/" + r.At} {
		if commit, ok := tips[name]; ok {
			return name, commit, nil
		}
	}
	return "", "", problem("missing-template", nearAt(r.At, tips), "%q has no tag or branch %q", r.Repo, r.At)
}

func nearAt(at string, tips map[string]string) string {
	var known []string
	for name := range tips {
		known = append(known, strings.TrimPrefix(strings.TrimPrefix(name, "refs/tags/"), "refs/heads/"))
	}
	if near := diag.Nearest(at, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "name a tag, a branch or a whole commit"
}

func isTag(name string) bool { return strings.HasPrefix(name, "refs/tags/") }

func (im *Importer) repository(url string) *repository {
	if im.repos[url] == nil {
		im.repos[url] = &repository{url: url}
	}
	return im.repos[url]
}

// extract reads a file of a commit, and what it ships, into a fresh folder.
func (im *Importer) extract(kind string, r schema.Ref, commit, name string) (*making, *diag.Finding) {
	if im.o.Offline {
		_, _, bad := im.resolve(r)
		return nil, bad
	}
	repo := im.repository(r.Repo)
	if err := repo.fetch(im.ctx, im.cache, commit, name); err != nil {
		return nil, unreachable(r, err)
	}
	dir, base := path.Split(r.Inside)
	beside, err := repo.list(im.ctx, commit, path.Clean("./"+dir), false)
	if err != nil {
		return nil, problem("missing-template", "correct the path", "commit %s of %q has no folder %q", Short(commit), r.Repo, path.Clean(dir))
	}
	text, bad := im.text(kind, r, commit, base, beside)
	if bad != nil {
		return nil, bad
	}
	made, err := begin(im.cache)
	if err != nil {
		return nil, unreachable(r, err)
	}
	if err := im.fill(made, r, commit, text, beside); err != nil {
		_ = made.drop()
		return nil, unreachable(r, err)
	}
	return made, nil
}

// text reads the file itself.
func (im *Importer) text(kind string, r schema.Ref, commit, base string, beside []thing) ([]byte, *diag.Finding) {
	var names []string
	for _, f := range beside {
		if names = append(names, f.name); f.name != base {
			continue
		}
		if err := ordinary(f); err != nil {
			return nil, problem("missing-template", "name a file", "%q: %s", r, err)
		}
		var text []byte
		err := im.repository(r.Repo).read(im.ctx, []thing{f}, func(_ thing, size int64, content io.Reader) (err error) {
			if size > maxText {
				return fmt.Errorf("it has more than %d bytes", maxText)
			}
			text, err = io.ReadAll(content)
			return err
		})
		if err != nil {
			return nil, unreachable(r, err)
		}
		return text, nil
	}
	return nil, problem("missing-template", nearName(kind, base, names), "commit %s of %q has no file %q", Short(commit), r.Repo, r.Inside)
}

// fill puts the file and the folders that it ships into a unit.
func (im *Importer) fill(made *making, r schema.Ref, commit string, text []byte, beside []thing) error {
	base, repo := path.Base(r.Inside), im.repository(r.Repo)
	files := map[string]thing{}
	for _, f := range beside {
		if f.name == base {
			files[base] = f
		}
	}
	for _, folder := range ships(text) {
		inside, err := repo.list(im.ctx, commit, path.Join(path.Dir(r.Inside), folder), true)
		if err != nil {
			continue // that it is not there is for the checks to say
		}
		for _, f := range inside {
			f.name = path.Join(folder, f.name)
			files[f.name] = f
		}
	}
	if len(files) > maxFiles {
		return fmt.Errorf("it ships %d files, more than %d: name a smaller folder in its `code`", len(files), maxFiles)
	}
	all := make([]thing, 0, len(files))
	for _, f := range files {
		if err := ordinary(f); err != nil {
			return err
		}
		all = append(all, f)
	}
	return repo.read(im.ctx, all, func(f thing, size int64, content io.Reader) error {
		return made.add(f.name, f.mode == "100755", size, content)
	})
}

// ordinary refuses everything but files: links could lead anywhere, and what other
// repositories hold is not pinned by this one's content.
func ordinary(f thing) error {
	switch {
	case f.mode == "120000":
		return fmt.Errorf("%q is a link, which templates cannot ship", f.name)
	case f.mode == "160000":
		return fmt.Errorf("%q is a submodule, which templates cannot ship", f.name)
	case f.kind != "blob":
		return fmt.Errorf("%q is a folder", f.name)
	}
	return nil
}

// store puts a unit at its place.
func (im *Importer) store(made *making, r schema.Ref, commit string) *diag.Finding {
	if err := made.keep(im.unit(r, commit)); err != nil {
		return problem("template-unreachable", "correct that, or set AMLFLOW_HOME to another folder", "%q cannot be kept on this computer: %s", r, err)
	}
	return nil
}

// replace is store for what has just come from the source: a copy that differs was
// tampered with, or cut short.
func (im *Importer) replace(made *making, r schema.Ref, e schema.Locked) *diag.Finding {
	unit := im.unit(r, e.Commit)
	if got, err := digest(os.DirFS(unit)); isFolder(unit) && (err != nil || got != e.Digest) {
		if err := os.RemoveAll(unit); err != nil {
			return unreachable(r, errors.Join(err, made.drop()))
		}
	}
	return im.store(made, r, e.Commit)
}
