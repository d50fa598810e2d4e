package engine

import (
	"path/filepath"
	"slices"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/engine/snapshot"
)

// CodeFolder is a folder that stages run in a copy of.
type CodeFolder struct {
	Folder string   // relative to the pipeline's own; "." is that itself
	Stages []string // those that run in it, "nested/train" for one of a pipeline that another stage runs
	snapshot.Listing
}

// CodeFolders lists what of each distinct code folder would be shipped, and what
// would be left out. It takes nothing, and lists also what is too large to be taken.
func (p *Prepared) CodeFolders(home string) ([]CodeFolder, error) {
	var folders []CodeFolder
	for _, h := range plan.Homes(p.Pipeline) {
		same := func(f CodeFolder) bool { return f.Folder == p.called(h.Folder) }
		if i := slices.IndexFunc(folders, same); i >= 0 { // two names of one folder
			folders[i].Stages = append(folders[i].Stages, h.Stages...)
			continue
		}
		l, err := snapshot.List(p.place(h.Folder), home, p.Store)
		if err != nil {
			return nil, err
		}
		folders = append(folders, CodeFolder{Folder: p.called(h.Folder), Stages: h.Stages, Listing: l})
	}
	return folders, nil
}

// place is where a code folder lies.
func (p *Prepared) place(f plan.Folder) string {
	base := f.Base
	if base == "" {
		base = filepath.Dir(p.File)
	}
	return filepath.Join(base, filepath.FromSlash(f.Path))
}

// called is how a person knows a code folder: from the pipeline's own.
func (p *Prepared) called(f plan.Folder) string {
	own, err := filepath.Abs(filepath.Dir(p.File))
	if err != nil {
		return p.place(f)
	}
	at, err := filepath.Abs(p.place(f))
	if err != nil {
		return p.place(f)
	}
	if rel, err := filepath.Rel(own, at); err == nil && (filepath.IsLocal(rel) || len(rel) < len(at)) {
		return filepath.ToSlash(rel)
	}
	return at
}
