package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// LogFile is the name by which Read knows the log of a unit.
const LogFile = "log"

// Read copies a file of a unit from byte offset on to w, as far as it has been written,
// and returns the offset reached: LogFile, or a file of its folder. One that is not
// there yet has nothing in it; one that is shorter was cut, and reading goes on at its
// present end.
func (m *Machine) Read(ctx context.Context, unit, name string, offset int64, w io.Writer) (int64, error) {
	if err := checkUnit(unit); err != nil {
		return offset, err
	}
	s := &stream{to: w}
	err := m.call(ctx, nil, s, "read", unit, name, strconv.FormatInt(offset, 10))
	switch {
	case err != nil:
		return offset + s.copied, err
	case s.kind == "absent":
		return offset, nil
	case s.kind == "parts":
		return offset + s.copied, nil
	case s.kind != "file":
		return offset, fmt.Errorf("%q is a %s; only a regular file is read: %w", name, s.kind, target.ErrPermanent)
	case s.size < offset:
		return s.size, nil
	}
	return offset + s.copied, nil
}

// Left is what a unit has left under one name.
type Left struct {
	Kind string // file, folder, empty (a folder), odd (a folder with links or special files), link, special, absent
	Size int64  // of a file
	Odd  string // a path in an odd folder that cannot be kept
}

// Report tells what a unit has left under each of names, which are paths in its folder,
// and makes its end durable.
func (m *Machine) Report(ctx context.Context, unit string, names []string) (map[string]Left, error) {
	if err := checkUnit(unit); err != nil {
		return nil, err
	}
	text, err := m.ask(ctx, nil, "report", append([]string{unit}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("ask what %q has left: %w", unit, err)
	}
	all := map[string]Left{}
	for _, line := range strings.Split(text, "\n") {
		if f := strings.SplitN(line, " ", 4); len(f) == 4 {
			size, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("the host answered %.100q", line)
			}
			all[f[2]] = Left{Kind: f[0], Size: size, Odd: f[3]}
		}
	}
	return all, nil
}

// PutFile stores a file that a unit has left, with put: target.PutLog, say. name is
// LogFile or a path in the folder of the unit.
func (m *Machine) PutFile(ctx context.Context, unit, name string, put func(io.Reader) (target.Ref, error)) (target.Ref, error) {
	r, w := io.Pipe()
	go func() {
		_, err := m.Read(ctx, unit, name, 0, w)
		w.CloseWithError(err)
	}()
	ref, err := put(r)
	r.CloseWithError(errUnread)
	return ref, err
}

// PutTree stores a folder that a unit has left, a path in its folder. Nothing of it is
// written to a disk of this computer but what out does.
func (m *Machine) PutTree(ctx context.Context, unit, name string, out target.Blobs) (target.Ref, error) {
	list, err := m.putTar(ctx, nil, out, "fetch", unit, name)
	if err != nil {
		return "", err
	}
	return target.PutList(ctx, out, list)
}

// putTar stores the files of the tar that a verb answers with.
func (m *Machine) putTar(ctx context.Context, in feed, out target.Blobs, verb string, args ...string) ([]target.Entry, error) {
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(m.call(ctx, in, w, verb, args...))
	}()
	list, err := putTar(ctx, r, out)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // what comes after the end is nothing, or an error
	}
	r.CloseWithError(errUnread)
	return list, err
}

// putTar stores the files of a tar and returns their list. Paths in it are hostile.
func putTar(ctx context.Context, r io.Reader, out target.Blobs) ([]target.Entry, error) {
	var list []target.Entry
	files, parents, folders := map[string]target.Entry{}, map[string]bool{}, []string{}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		p := path.Clean(h.Name)
		if p == "." {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return nil, fmt.Errorf("%q leaves the folder: %w", p, target.ErrPermanent)
		}
		e := target.Entry{Path: p, Exec: h.Mode&0o111 != 0}
		switch h.Typeflag {
		case tar.TypeDir:
			folders = append(folders, p)
			parents[path.Dir(p)] = true
			continue
		case tar.TypeReg:
			if e.Ref, err = out.Put(ctx, t); err != nil {
				return nil, err
			}
		case tar.TypeLink: // another name of a file that came before
			e.Ref = files[path.Clean(h.Linkname)].Ref
		}
		if e.Ref == "" {
			return nil, fmt.Errorf("%q is a link or a special file; only regular files and folders can be kept: copy what it points to, or leave it out: %w", p, target.ErrPermanent)
		}
		parents[path.Dir(p)] = true
		files[p] = e
		list = append(list, e)
	}
	for _, p := range folders {
		if !parents[p] {
			list = append(list, target.Entry{Path: p})
		}
	}
	return list, nil
}
