package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// The bounds of a folder artifact, so that a hostile manifest ends early.
const (
	maxTreeFiles    = 1_000_000
	maxTreeManifest = 256 << 20
)

// Entry is one regular file of a folder. Path is relative, with slashes.
// The mode is 0755 or 0644, as in git: other bits differ between machines.
type Entry struct {
	Path string `json:"path"`
	Exec bool   `json:"exec,omitempty"`
	Ref  Ref    `json:"ref,omitempty"` // empty: an empty folder
}

// Keep decides whether a file or folder belongs to a tree. Path is relative to
// the root, with slashes.
type Keep func(path string, dir bool) bool

// PutTree stores the folder dir and returns its name: the digest of a manifest
// that lists every file, sorted, with the digest of its content. Equal folders
// have equal names on every machine. Links and special files are refused, since
// they would mean something else elsewhere; but where keep is given, as for the
// code that people write, a link to a file in the same folder is taken as a copy
// of it. keep may be nil.
func PutTree(ctx context.Context, b Blobs, dir string, keep Keep) (Ref, error) {
	var es []Entry
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if keep != nil && !keep(rel, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if keep != nil && d.Type()&fs.ModeSymlink != 0 {
			if d, p, err = behind(dir, rel); err != nil {
				return err
			}
		}
		e, err := putEntry(ctx, b, p, rel, d)
		if err == nil && e != nil {
			es = append(es, *e)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return PutList(ctx, b, es)
}

// behind finds the file that a link in the folder stands for.
func behind(dir, rel string) (fs.DirEntry, string, error) {
	refused := func(why string) error {
		return fmt.Errorf("%q is a link %s: replace it by a copy, or leave it out: %w", rel, why, ErrPermanent)
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, "", err
	}
	to, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(rel)))
	if err != nil {
		return nil, "", refused("to nothing that can be read")
	}
	if inside, err := filepath.Rel(root, to); err != nil || !filepath.IsLocal(inside) {
		return nil, "", refused("that leaves the folder")
	}
	info, err := os.Lstat(to)
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", refused("to a folder or a special file")
	}
	return fs.FileInfoToDirEntry(info), to, nil
}

func putEntry(ctx context.Context, b Blobs, p, rel string, d fs.DirEntry) (*Entry, error) {
	switch {
	case d.IsDir():
		if names, err := os.ReadDir(p); err != nil || len(names) > 0 {
			return nil, err
		}
		return &Entry{Path: rel}, nil
	case !d.Type().IsRegular():
		return nil, fmt.Errorf("%q is a link or a special file; only regular files and folders can be kept: copy what it points to, or leave it out: %w", rel, ErrPermanent)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ref, err := PutFile(ctx, b, p)
	if err != nil {
		return nil, err
	}
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	return &Entry{Path: rel, Exec: info.Mode()&0o111 != 0, Ref: ref}, nil
}

// Part is a named piece of a folder: a file, or a folder of its own.
type Part struct {
	Name string
	Ref  Ref
}

// JoinTree stores a folder that consists of artifacts that are stored already, and
// returns its name. Only the list of files is new.
func JoinTree(ctx context.Context, b Blobs, parts []Part) (Ref, error) {
	var es []Entry
	for _, p := range parts {
		if !p.Ref.IsTree() {
			es = append(es, Entry{Path: p.Name, Ref: p.Ref})
			continue
		}
		inner, err := ListTree(ctx, b, p.Ref)
		if err != nil {
			return "", fmt.Errorf("%q: %w", p.Name, err)
		}
		if len(inner) == 0 {
			es = append(es, Entry{Path: p.Name})
		}
		for _, e := range inner {
			e.Path = p.Name + "/" + e.Path
			es = append(es, e)
		}
		if len(es) > maxTreeFiles {
			return "", fmt.Errorf("together they hold more than %d files: %w", maxTreeFiles, ErrPermanent)
		}
	}
	return PutList(ctx, b, es)
}

// PutList stores the list of a folder's files, whose contents are stored already, and
// returns the name of the folder. It sorts es.
func PutList(ctx context.Context, b Blobs, es []Entry) (Ref, error) {
	sort.Slice(es, func(i, j int) bool { return es[i].Path < es[j].Path })
	text, err := json.Marshal(es)
	if err != nil {
		return "", err
	}
	ref, err := b.Put(ctx, bytes.NewReader(text))
	return treePrefix + ref, err
}

// PutFile stores the content of the file at p.
func PutFile(ctx context.Context, b Blobs, p string) (Ref, error) {
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return b.Put(ctx, f)
}

// Get writes the file or folder named ref to the path dst, which must not
// exist. A folder is confined to dst whatever its manifest says.
func Get(ctx context.Context, b Blobs, ref Ref, dst string) error {
	if !ref.IsTree() {
		return getFile(ctx, b, ref, dst)
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	return GetTree(ctx, b, ref, dst)
}

// GetTree adds the files of the folder named ref to the existing folder dir.
func GetTree(ctx context.Context, b Blobs, ref Ref, dir string) error {
	es, err := ListTree(ctx, b, ref)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range es {
		if err := getEntry(ctx, b, root, e); err != nil {
			return fmt.Errorf("%q of %s: %w", e.Path, ref, err)
		}
	}
	return nil
}

// ListTree returns the files of the folder named ref, sorted by path. Nothing is known of
// the paths: a hostile list may hold any, and filepath.IsLocal tells which stay inside.
func ListTree(ctx context.Context, b Blobs, ref Ref) ([]Entry, error) {
	r, err := b.Open(ctx, ref.Blob())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxTreeManifest+1))
	if err != nil {
		return nil, err
	}
	var es []Entry
	if err := json.Unmarshal(text, &es); err != nil || len(text) > maxTreeManifest || len(es) > maxTreeFiles {
		return nil, errors.Join(fmt.Errorf("%s is not the list of a folder's files", ref), err, ErrPermanent)
	}
	return es, nil
}

func getEntry(ctx context.Context, b Blobs, root *os.Root, e Entry) error {
	path := filepath.FromSlash(e.Path)
	if !filepath.IsLocal(path) {
		return fmt.Errorf("the path leaves the folder: %w", ErrPermanent)
	}
	if e.Ref == "" {
		return root.MkdirAll(path, 0o755)
	}
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if e.Exec {
		mode = 0o755
	}
	f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return copyTo(ctx, b, e.Ref, f)
}

func getFile(ctx context.Context, b Blobs, ref Ref, dst string) error {
	f, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return copyTo(ctx, b, ref, f)
}

func copyTo(ctx context.Context, b Blobs, ref Ref, f *os.File) error {
	r, err := b.Open(ctx, ref)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, r.Close(), f.Close())
}
