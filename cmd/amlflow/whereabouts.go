package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/schema/diag"
)

// whereIs is where we are, and where the repository begins.
type whereIs struct{ here, root string }

// whereabouts finds the root of the repository: the CI says it, or .git lies there.
// Without either it is the current folder.
func whereabouts(env func(string) string) whereIs {
	here, err := os.Getwd()
	if err != nil {
		return whereIs{}
	}
	here = resolved(here)
	for _, name := range []string{"GITHUB_WORKSPACE", "CI_PROJECT_DIR", "BUILD_SOURCESDIRECTORY"} {
		if dir := env(name); filepath.IsAbs(dir) {
			return whereIs{here, resolved(dir)}
		}
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return whereIs{here, dir}
		}
		if dir == filepath.Dir(dir) {
			return whereIs{here, here}
		}
	}
}

// named calls the files of a report as its readers do. Azure wants whole paths, which
// it cuts itself; people and scripts want what they wrote; all others want the names
// that the repository has for them.
func (at whereIs) named(r diag.Report, kind string) diag.Report {
	name := at.inRepository
	switch kind {
	case "text", "json":
		return r
	case "azure":
		name = at.whole
	}
	r.Findings, r.Files = slices.Clone(r.Findings), slices.Clone(r.Files)
	for i := range r.Findings {
		r.Findings[i].File = name(r.Findings[i].File)
	}
	r.Findings = r.Findings.Sort()
	for i := range r.Files {
		r.Files[i] = name(r.Files[i])
	}
	return r
}

func (at whereIs) whole(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(at.here, file)
}

// inRepository is a file's name from the root of the repository, or its whole path
// when it lies elsewhere.
func (at whereIs) inRepository(file string) string {
	if file == "" {
		return ""
	}
	whole := at.whole(file)
	whole = filepath.Join(resolved(filepath.Dir(whole)), filepath.Base(whole))
	if rel, err := filepath.Rel(at.root, whole); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return whole
}

// resolved is a folder's path without links, as far as it exists.
func resolved(dir string) string {
	if to, err := filepath.EvalSymlinks(dir); err == nil {
		return to
	}
	return dir
}
