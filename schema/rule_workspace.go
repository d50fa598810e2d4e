package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// check finds what is wrong with a workspace beyond its shape.
func (w *Workspace) check() diag.Findings {
	return append(w.coming(), w.bindings()...)
}

// coming reports what the language has and this version does not.
func (w *Workspace) coming() (fs diag.Findings) {
	s := w.Source
	if scheme, _, ok := strings.Cut(w.Store, "://"); ok {
		fs = append(fs, s.coming(s.At("/store"), "/store", s.Width("/store"), fmt.Sprintf("stores in %s://", scheme), "name a folder, such as .amlflow/store"))
	}
	for _, t := range w.Targets {
		path := t.Path + "/kind"
		if slices.Contains(kindsToCome, t.Kind) {
			fs = append(fs, s.coming(s.At(path), path, s.Width(path), fmt.Sprintf("targets of kind %q", t.Kind), "use `kind: local` meanwhile"))
		}
	}
	return fs
}

// bindings sees that profiles bind names to targets that there are.
func (w *Workspace) bindings() (fs diag.Findings) {
	var known []string
	for _, t := range w.Targets {
		known = append(known, t.Name)
	}
	slices.Sort(known)
	var near nearest
	for _, profile := range w.Profiles {
		for name, target := range profile.Targets {
			if _, found := slices.BinarySearch(known, target); found || target == refused || target == "" {
				continue
			}
			path := join(profile.Path+"/targets", name)
			f := w.Source.finding(w.Source.At(path), "unknown-target", fmt.Sprintf("profile %q binds %q to the target %q, which is not in %s", profile.Name, name, target, w.title()), near.hint(target, known, "targets"))
			f.Path, f.Width = path, w.Source.Width(path)
			fs = append(fs, f)
		}
	}
	return fs
}
