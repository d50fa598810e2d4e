package snapshot

import (
	"path"
	"path/filepath"
)

// always is never part of code: histories, state and caches. No file takes it back.
var always = parseFile("", []byte(".git/\n.amlflow/\n__pycache__/\n.venv/\nnode_modules/\n.pytest_cache/\n.mypy_cache/\n.DS_Store\n"))

// usual is what describes runs and is no code, unless a line that begins with ! takes it
// back. What a stage needs of it is in the plan, so that results can be reused after
// another stage was edited, and that a job of a hundred thousand gets no copy of them all.
var usual = parseFile("", []byte("*.pipeline.yaml\n*.template.yaml\n*.test.yaml\n/amlflow.yaml\n/amlflow.lock\n"))

// sieve tells code from what is left out while a folder is walked, each folder
// before what it holds.
type sieve struct {
	root   string
	leave  map[string]bool
	places map[string]*place // of the folders that are kept
	read   []string          // the ignore files that were read
	err    error             // one could not be
}

func newSieve(root string, leave []string) *sieve {
	s := &sieve{root: root, leave: within(root, leave), places: map[string]*place{}}
	s.enter(".", nil, "")
	return s
}

func (s *sieve) enter(name string, above *place, dir string) {
	p, file, err := enter(s.root, above, dir)
	if s.err == nil {
		s.err = err
	}
	if file != "" {
		s.read = append(s.read, file)
	}
	s.places[name] = p
}

// left returns the rule that leaves out a file or folder, or nil when it is code.
// Nothing is code once an ignore file could not be read.
func (s *sieve) left(name string, isDir bool) *Rule {
	if s.err != nil {
		return &Rule{Pattern: name}
	}
	if s.leave[name] {
		return &Rule{Pattern: name + "/"}
	}
	if r := leftAs(always, name, isDir); r != nil {
		return r
	}
	in := s.places[path.Dir(name)]
	if r := in.leftBy(name, isDir); r != nil {
		return r
	}
	if isDir {
		s.enter(name, in, name)
	}
	return nil
}

// within turns those of the folders that lie in dir into paths relative to it.
func within(dir string, folders []string) map[string]bool {
	in := map[string]bool{}
	root, err := filepath.Abs(dir)
	if err != nil {
		return in
	}
	for _, f := range folders {
		if abs, err := filepath.Abs(f); err == nil {
			if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) && rel != "." {
				in[filepath.ToSlash(rel)] = true
			}
		}
	}
	return in
}
