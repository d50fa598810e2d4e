package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// Read implements target.Driver. The engine gives a file as a whole, so what is before
// the offset is read and thrown away; when nothing was added, nothing is read.
func (d Driver) Read(ctx context.Context, t target.Target, id string, s target.Stream, offset int64, w io.Writer) (int64, error) {
	switch {
	case s.Name != target.Log && s.Name != target.Metrics:
		return offset, fmt.Errorf("there is no stream %q, only %q and %q: %w", s.Name, target.Log, target.Metrics, target.ErrPermanent)
	case offset < 0 || s.Rank < 0:
		return offset, fmt.Errorf("there is no offset %d of rank %d: %w", offset, s.Rank, target.ErrPermanent)
	case !target.ValidID(id):
		return offset, nil
	}
	e, err := connect(t)
	if err != nil {
		return offset, err
	}
	f, err := e.find(ctx, id)
	if err != nil || f.box == nil || !started(f.box) {
		return offset, err
	}
	r, err := recordOf(*f.box)
	if err != nil || s.Rank >= r.ranks() {
		return offset, err
	}
	switch {
	case s.Name == target.Metrics:
		return e.readFile(ctx, f.box.ID, ofRank(s.Rank, metricsFile), offset, w)
	case r.Bare:
		content, err := e.engineLog(ctx, f.box.ID)
		if err != nil {
			return offset, err
		}
		return copyFrom(w, content, offset)
	}
	return logOf{engine: e, container: f.box.ID, rank: s.Rank, most: r.Log, alive: running(f.box)}.copy(ctx, offset, w)
}

// readFile copies a file of a container from byte offset on.
func (e *engine) readFile(ctx context.Context, container, path string, offset int64, w io.Writer) (int64, error) {
	size, err := e.size(ctx, container, path)
	if errors.Is(err, fs.ErrNotExist) {
		return offset, nil
	}
	if err != nil || size <= offset {
		return min(size, offset), err
	}
	content, _, err := e.file(ctx, container, path)
	if err != nil {
		return offset, err
	}
	return copyFrom(w, content, offset)
}

// copyFrom copies what content has from byte offset on, closes it and returns the
// offset reached.
func copyFrom(w io.Writer, content io.ReadCloser, offset int64) (int64, error) {
	defer content.Close()
	skipped, err := io.CopyN(io.Discard, content, offset)
	if errors.Is(err, io.EOF) {
		return skipped, nil // someone cut it short
	}
	if err != nil {
		return offset, err
	}
	n, err := io.Copy(w, content)
	return offset + n, err
}

// size returns the size of a regular file in a container. A job may have put anything
// there; what is no regular file is refused with fs.ErrInvalid.
func (e *engine) size(ctx context.Context, container, path string) (int64, error) {
	r, err := e.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: path})
	switch {
	case errdefs.IsNotFound(err):
		return 0, fmt.Errorf("%q: %w", path, fs.ErrNotExist)
	case err != nil:
		return 0, e.trouble("look at "+path, err)
	case !r.Stat.Mode.IsRegular():
		return 0, fmt.Errorf("%q is a %s; only a regular file is read: %w: %w", path, describe(r.Stat.Mode), fs.ErrInvalid, target.ErrPermanent)
	}
	return r.Stat.Size, nil
}

func describe(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "special file"
}

// has reports whether start.sh left a file, which it does in no bare container.
func (e *engine) has(ctx context.Context, container, path string, r record) (bool, error) {
	if r.Bare {
		return false, nil
	}
	_, err := e.size(ctx, container, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// file opens a file of a container, of which the size is known to be that of a regular
// one. It gives the bytes that there are now.
func (e *engine) file(ctx context.Context, container, path string) (io.ReadCloser, int64, error) {
	r, err := e.CopyFromContainer(ctx, container, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return nil, 0, e.trouble("read "+path, err)
	}
	archive := tar.NewReader(r.Content)
	h, err := archive.Next()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read %s: %w", path, err), r.Content.Close())
	}
	if h.Typeflag != tar.TypeReg {
		err := fmt.Errorf("%q is no regular file: %w: %w", path, fs.ErrInvalid, target.ErrPermanent)
		return nil, 0, errors.Join(err, r.Content.Close())
	}
	// Reading ends with the file: an engine may complain behind it that it has grown.
	return reading{archive, r.Content}, h.Size, nil
}

// reading is a part of what is to be closed as a whole.
type reading struct {
	io.Reader
	io.Closer
}

// engineLog opens what the engine kept of standard output and standard error, so far.
func (e *engine) engineLog(ctx context.Context, container string) (io.ReadCloser, error) {
	log, err := e.ContainerLogs(ctx, container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return nil, e.trouble("read the log", err)
	}
	r, w := io.Pipe()
	go func() {
		defer log.Close()
		_, err := stdcopy.StdCopy(w, w, log)
		w.CloseWithError(err)
	}()
	return r, nil
}
