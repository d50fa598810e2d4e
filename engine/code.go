package engine

import (
	"path/filepath"

	"github.com/amlflow/amlflow/engine/snapshot"
	"github.com/amlflow/amlflow/schema"
)

// CodeFolder is a folder that stages run in a copy of.
type CodeFolder struct {
	Folder string   // relative to the pipeline's own; "." is that itself
	Stages []string // those that run in it
	snapshot.Listing
}

// CodeFolders lists what of each distinct code folder would be shipped, and what
// would be left out. It takes nothing, and lists also what is too large to be taken.
func (p *Prepared) CodeFolders(home string) ([]CodeFolder, error) {
	var folders []CodeFolder
	at := map[string]int{}
	for _, stages := range [][]schema.Stage{p.Pipeline.Stages, p.Pipeline.Finally} {
		for _, s := range stages {
			if s.Approve != nil || s.Pipeline != "" {
				continue // they run nothing themselves
			}
			name := filepath.ToSlash(filepath.Clean(filepath.FromSlash(s.Code)))
			i, listed := at[name]
			if !listed {
				l, err := snapshot.List(filepath.Join(filepath.Dir(p.File), filepath.FromSlash(name)), home, p.Store)
				if err != nil {
					return nil, err
				}
				i = len(folders)
				at[name] = i
				folders = append(folders, CodeFolder{Folder: name, Listing: l})
			}
			folders[i].Stages = append(folders[i].Stages, s.Name)
		}
	}
	return folders, nil
}
