package snapshot

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is one entry of a code folder. The path is relative to it, with slashes, and
// that of a folder ends with one.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	Exec bool   `json:"exec,omitempty"`
	Left *Rule  `json:"left,omitempty"` // why it is left out; nil: it is part of the code
}

// Listing is what Take would take of a folder, and what it would leave out.
type Listing struct {
	Files   []File   // sorted as they are walked; what a folder that is left out holds is not listed
	Ignores []string // the ignore files that were read, relative to the folder
}

// List looks at a folder as Take does, and takes nothing. It lists also what Take
// would find too large.
func List(dir string, leave ...string) (Listing, error) {
	s := newSieve(dir, leave)
	var l Listing
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		r := s.left(rel, d.IsDir())
		f, err := look(p, rel, d, r)
		if err == nil && f != nil {
			l.Files = append(l.Files, *f)
		}
		if err == nil && r != nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	if s.err != nil {
		err = s.err
	}
	if err != nil {
		return Listing{}, fmt.Errorf("list the code in %q: %w", dir, err)
	}
	l.Ignores = s.read
	return l, nil
}

// look describes an entry. A folder that is kept is one only when it is empty; a
// link is what it leads to, as in the copy.
func look(p, rel string, d fs.DirEntry, left *Rule) (*File, error) {
	if d.IsDir() {
		if left == nil {
			if names, err := os.ReadDir(p); err != nil || len(names) > 0 {
				return nil, err
			}
		}
		return &File{Path: rel + "/", Left: left}, nil
	}
	info, err := os.Stat(p)
	if err != nil {
		if info, err = os.Lstat(p); err != nil {
			return nil, err
		}
	}
	return &File{Path: strings.TrimSuffix(rel, "/"), Size: info.Size(), Exec: info.Mode()&0o111 != 0, Left: left}, nil
}
