package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// addCheckpoints makes the folder for the checkpoints of a job whose code is in dir, and
// fills it with those in the folder from of this computer, if there is one.
func addCheckpoints(w *tar.Writer, dir, name, from string) error {
	at := dir
	for _, part := range strings.Split(name, "/") {
		at = path.Join(at, part)
		if err := addDir(w, at, openDir); err != nil {
			return err
		}
	}
	if from == "" {
		return nil
	}
	return addTree(w, from, at, true)
}

var _ target.Checkpointer = Driver{}

// Checkpoint implements target.Checkpointer. The engine gives a folder only as a whole,
// so that it is asked for little before that: see saved.
func (d Driver) Checkpoint(ctx context.Context, t target.Target, id, mark string, out target.Blobs) (target.Ref, string, error) {
	if !target.ValidID(id) {
		return "", mark, nil
	}
	e, err := connect(t)
	if err != nil {
		return "", mark, err
	}
	f, err := e.find(ctx, id)
	if err != nil || f.box == nil || !started(f.box) {
		return "", mark, err
	}
	r, err := recordOf(*f.box)
	if err != nil || r.Checkpoint == nil {
		return "", mark, err
	}
	l := saved{engine: e, container: f.box.ID, dir: path.Join(codeDir, r.Checkpoint.Path), running: running(f.box)}
	ref, now, err := d.keep(ctx, l, id, r.Checkpoint.Keep, mark, out)
	if err != nil {
		return "", mark, fmt.Errorf("keep a checkpoint of job %q: %w", id, err)
	}
	return ref, now, nil
}

func (d Driver) keep(ctx context.Context, l saved, id string, keep int, mark string, out target.Blobs) (target.Ref, string, error) {
	seen, content, _ := strings.Cut(mark, "/")
	if seen != "" && l.running {
		if glance, err := l.glance(ctx, names(seen)); err != nil || glance == seen {
			return "", mark, err
		}
	}
	spool, err := d.spool(id)
	if err != nil {
		return "", mark, err
	}
	defer os.RemoveAll(spool)
	glance, err := l.fetch(ctx, spool)
	if err != nil {
		return "", mark, err
	}
	ref, now, err := target.PutCheckpoints(ctx, out, spool, keep, false, content)
	if err != nil || ref == "" {
		return "", mark, err
	}
	return ref, glance + "/" + now, nil
}

// saved is the folder with the checkpoints of a job.
//
// Getting it takes as long as all that is in it, so that it is left alone as long as a
// glance is the same: when the folder was written to, and each file or folder directly in
// it. What is changed further inside is seen once something else is new, or the job has
// ended.
type saved struct {
	*engine
	container string
	dir       string
	running   bool
}

// names are those that a glance was at.
func names(glance string) []string {
	var all []string
	for i, part := range strings.Split(glance, ",") {
		if name, _, ok := strings.Cut(part, ":"); ok && i > 1 { // nothing, and the folder itself
			if plain, err := url.QueryUnescape(name); err == nil {
				all = append(all, plain)
			}
		}
	}
	return all
}

// glance tells the state of the folder by little, and of the entries with these names.
func (l saved) glance(ctx context.Context, names []string) (string, error) {
	var b strings.Builder
	for _, name := range append([]string{""}, names...) {
		st, err := l.stat(ctx, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		b.WriteString(st.glance(name))
	}
	return b.String(), nil
}

// mostGlances is how many entries are looked at instead of getting the folder.
const mostGlances = 100

// stat looks at one entry of the folder, or at the folder itself.
func (l saved) stat(ctx context.Context, name string) (st statted, err error) {
	r, err := l.ContainerStatPath(ctx, l.container, client.ContainerStatPathOptions{Path: path.Join(l.dir, name)})
	if errdefs.IsNotFound(err) {
		return st, fmt.Errorf("%q: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return st, l.trouble("look at a checkpoint", err)
	}
	return statted{Mtime: r.Stat.Mtime, Size: r.Stat.Size, Mode: r.Stat.Mode}, nil
}

// statted is what an engine says of a file or folder.
type statted struct {
	Mtime time.Time
	Size  int64
	Mode  fs.FileMode
}

func (st statted) glance(name string) string {
	size := st.Size
	if st.Mode.IsDir() {
		size = 0 // of a folder it means nothing
	}
	return fmt.Sprintf(",%s:%d:%d", url.QueryEscape(name), st.Mtime.UnixNano(), size)
}

// fetch puts the checkpoints that are whole into the folder spool, written when the job
// has written them. Of a running job only those count that had not been written to for
// target.Settled when the look began: nothing has changed under the reading then.
//
// It returns the glance to compare others with, which is empty if what was found is
// better looked at again.
func (l saved) fetch(ctx context.Context, spool string) (glance string, err error) {
	st, err := l.stat(ctx, "")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !st.Mode.IsDir() {
		return "", fmt.Errorf("the folder for checkpoints is a folder no longer: the job has put a file or a link in its place: %w", target.ErrPermanent)
	}
	began, err := l.now(ctx)
	if err != nil {
		return "", err
	}
	if err := l.folder(ctx, l.container, l.dir, func(a *tar.Reader) error { return unpackCheckpoints(a, spool) }); err != nil {
		return "", err
	}
	tops, all, err := l.settle(ctx, spool, began)
	if err != nil || !all || !l.running || len(tops) > mostGlances || began.Sub(st.Mtime) < target.Settled {
		return "", err
	}
	var b strings.Builder
	b.WriteString(st.glance(""))
	for _, name := range slices.Sorted(maps.Keys(tops)) {
		b.WriteString(tops[name].glance(name))
	}
	return b.String(), nil
}

// unpackCheckpoints unpacks what is called as if it were whole. A link directly in the
// folder is no checkpoint; one further inside is unpacked as the link that it is, for
// whoever stores it to refuse.
func unpackCheckpoints(archive *tar.Reader, dir string) error {
	return unpackEach(archive, dir, func(h *tar.Header, into *os.Root, name string) error {
		top, _, inside := strings.Cut(name, "/")
		switch {
		case target.Unfinished(top):
			return nil
		case h.Typeflag == tar.TypeSymlink && inside:
			return into.Symlink("nowhere", filepath.FromSlash(name))
		case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeLink && !inside:
			return nil
		}
		return unpackOne(archive, h, into, filepath.FromSlash(name))
	})
}

// settle gives what was unpacked the times of the originals, which archives tell in
// seconds only, and removes what may have changed since shortly before a moment. It
// returns what is directly in the folder, and whether that is all there was.
func (l saved) settle(ctx context.Context, spool string, began time.Time) (tops map[string]statted, all bool, err error) {
	var paths []string
	err = filepath.WalkDir(spool, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && p != spool {
			paths = append(paths, p)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	slices.Reverse(paths) // a folder after what is in it
	tops, all = map[string]statted{}, true
	early := map[string]bool{}
	for _, p := range paths {
		rel, err := filepath.Rel(spool, p)
		if err != nil {
			return nil, false, err
		}
		name := filepath.ToSlash(rel)
		top, _, inside := strings.Cut(name, "/")
		st, err := l.stat(ctx, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
		if err != nil || l.running && began.Sub(st.Mtime) < target.Settled {
			early[top] = true
			continue
		}
		if !inside {
			tops[name] = st
		}
		if st.Mode&fs.ModeSymlink != 0 {
			continue
		}
		if err := os.Chtimes(p, st.Mtime, st.Mtime); err != nil {
			return nil, false, err
		}
	}
	for top := range early {
		all = false
		if err := os.RemoveAll(filepath.Join(spool, top)); err != nil {
			return nil, false, err
		}
	}
	return tops, all, nil
}
