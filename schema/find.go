package schema

import (
	"os"
	"path/filepath"
)

// FileName is the name of a workspace's file.
const FileName = "amlflow.yaml"

// FindWorkspace looks for the workspace's file in dir and the folders above it.
func FindWorkspace(dir string) (path string, ok bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	for {
		path = filepath.Join(dir, FileName)
		if st, err := os.Stat(path); err == nil && !st.IsDir() {
			return path, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// DefaultWorkspace is the workspace of a folder that has no file for it: one
// target, this computer.
func DefaultWorkspace(dir string) *Workspace {
	return &Workspace{Dir: dir, Name: "default", Targets: []Target{{Name: "local", Path: "/targets/local", Kind: "local"}}}
}

// Profile returns the profile of that name.
func (w *Workspace) Profile(name string) (Profile, bool) {
	for _, p := range w.Profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}
