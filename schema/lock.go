package schema

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/amlflow/amlflow/schema/diag"
)

// LockName is the name of the file that says which commit and content each template
// from git is. It lies beside the workspace's file, or beside the pipeline.
const LockName = "amlflow.lock"

// lockHead begins every lock.
const lockHead = "# Which commit and content each template from git is. Written by `amlflow template`; keep it in version control.\namlflow: v1\n"

// Lock is the content of that file.
type Lock struct {
	Source  *Source // nil when there is no file yet
	Entries []Locked
}

// Locked is one file of a git repository as it was when it was locked.
type Locked struct {
	Ref    string // in the form of Ref.String
	Commit string // whole, in hexadecimal digits
	Digest string // "sha256:…", of its text and of the folder that it ships
}

var lockForm = sync.OnceValue(func() form { return load("lock") })

// ReadLock reads a lock, which a person or a merge may have changed. What is wrong
// with an entry leaves it out.
func ReadLock(name string, data []byte) (*Lock, diag.Findings) {
	s, fs := Read(name, data)
	if merge := s.mergeMark(); merge != nil {
		return &Lock{Source: s}, diag.Findings{*merge}
	}
	fs = append(fs, s.checkShape("lock", lockForm())...)
	l := &Lock{Source: s}
	for _, key := range s.Keys("/templates") {
		at := join("/templates", key)
		r, problem := ParseRef("template", key)
		if problem == nil && (r.Repo == "" || r.String() != key) {
			problem = badRef(fmt.Sprintf("%q is not a reference that a lock holds", masked(key)), "remove the entry; `amlflow template add REF` writes it")
		}
		if problem != nil {
			problem.Pos, problem.Width, problem.Path = s.KeyAt(at), s.KeyWidth(at), at
			fs = append(fs, *problem)
			continue
		}
		l.Set(Locked{Ref: key, Commit: s.text(at + "/commit"), Digest: s.text(at + "/digest")})
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(e Locked) bool { return !commitForm.MatchString(e.Commit) || e.Digest == "" })
	return l, fs.Sort()
}

// mergeMark finds what a merge left behind for a person to decide.
func (s *Source) mergeMark() *diag.Finding {
	for n := range s.lines {
		if strings.HasPrefix(s.Line(n+1), "<<<<<<< ") {
			f := s.finding(diag.Pos{File: s.Name, Line: n + 1, Col: 1}, "yaml-syntax", "a merge left its marks here", "keep the entries of both sides, and remove the lines with <<<<<<<, ======= and >>>>>>>")
			return &f
		}
	}
	return nil
}

// Find returns the entry of a reference.
func (l *Lock) Find(ref string) (Locked, bool) {
	i, found := l.search(ref)
	if !found {
		return Locked{}, false
	}
	return l.Entries[i], true
}

// Set adds an entry, or replaces that of the same reference.
func (l *Lock) Set(e Locked) {
	i, found := l.search(e.Ref)
	if found {
		l.Entries[i] = e
		return
	}
	l.Entries = slices.Insert(l.Entries, i, e)
}

// Remove takes the entry of a reference away.
func (l *Lock) Remove(ref string) {
	if i, found := l.search(ref); found {
		l.Entries = slices.Delete(l.Entries, i, i+1)
	}
}

func (l *Lock) search(ref string) (int, bool) {
	return slices.BinarySearchFunc(l.Entries, ref, func(e Locked, ref string) int { return strings.Compare(e.Ref, ref) })
}

// Bytes is the file. The same entries give the same bytes; each has a block of its
// own, so that two branches which add entries rarely conflict.
func (l *Lock) Bytes() []byte {
	if len(l.Entries) == 0 {
		return []byte(lockHead + "templates: {}\n")
	}
	var b strings.Builder
	b.WriteString(lockHead + "templates:\n")
	for i, e := range l.Entries {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  %q:\n    commit: %q\n    digest: %q\n", e.Ref, e.Commit, e.Digest)
	}
	return []byte(b.String())
}

// Write puts the lock into a file, whole or not at all.
func (l *Lock) Write(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+LockName+"-*")
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	_, err = f.Write(l.Bytes())
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
