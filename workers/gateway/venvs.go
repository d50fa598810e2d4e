package gateway

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Venvs tells which Python environments the deployments use that are remembered: for
// each the ids of those deployments.
func (f Folder) Venvs() (map[string][]string, error) {
	files, err := filepath.Glob(f.path("endpoints", "*", "deployments", "*", wishFile))
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, file := range files {
		var w wish
		err := readJSON(filepath.Dir(file), wishFile, &w)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was retired meanwhile
		}
		if err != nil {
			return nil, err
		}
		if w.Venv != "" {
			users[w.Venv] = append(users[w.Venv], w.ID)
		}
	}
	return users, nil
}
