package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"

	"github.com/moby/moby/client"
)

// Files are the container's alone, and whoever its user is may write to what is his
// to write to. Inputs may be read.
const (
	openMode = 0o666
	openDir  = 0o777
	readMode = 0o644
	readDir  = 0o755
)

// fill gives a container what the job finds in it. Only one file is in memory at a
// time, and of that only a part.
func (s *submission) fill(ctx context.Context, id string, r record, im image) error {
	spool, err := s.driver.spool(s.job.ID)
	if err != nil {
		return err
	}
	defer os.RemoveAll(spool)
	return s.send(ctx, id, func(w *tar.Writer) error {
		for _, dir := range []string{homeDir, lifeDir} {
			if err := addDir(w, dir, openDir); err != nil {
				return err
			}
		}
		if err := s.addTracking(w); err != nil {
			return err
		}
		if err := s.furnishAll(ctx, w, r, spool); err != nil {
			return err
		}
		if err := addDir(w, inDir, readDir); err != nil {
			return err
		}
		for _, a := range s.job.Inputs {
			if err := s.deliver(ctx, w, a.Ref, filepath.Join(spool, a.Name), inDir+"/"+a.Name); err != nil {
				return fmt.Errorf("input %q: %w", a.Name, err)
			}
		}
		if r.Bare {
			return nil
		}
		if s.job.Script != "" {
			if err := addFile(w, scriptFile, openMode, []byte(s.job.Script)); err != nil {
				return err
			}
		}
		return addFile(w, startFile, openMode, s.script(im))
	})
}

// furnishAll gives every rank what it finds. What all of them get is fetched once.
func (s *submission) furnishAll(ctx context.Context, w *tar.Writer, r record, spool string) error {
	code, from := "", ""
	if s.job.Code != "" {
		code = filepath.Join(spool, ".code") // no artifact is called so
		if err := target.Get(ctx, s.in, s.job.Code, code); err != nil {
			return fmt.Errorf("code: %w", err)
		}
	}
	if c := s.job.Checkpoint; c != nil && c.From != "" {
		from = filepath.Join(spool, ".from")
		if err := target.Get(ctx, s.in, c.From, from); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if code != "" { // it takes the place of what the code has there
			if err := os.RemoveAll(filepath.Join(code, filepath.FromSlash(c.Path))); err != nil {
				return err
			}
		}
	}
	for n := range s.job.Ranks() {
		if err := s.furnish(w, n, r, code, from); err != nil {
			return err
		}
	}
	if code == "" && from == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(filepath.Join(spool, ".code")), os.RemoveAll(filepath.Join(spool, ".from")))
}

// deliver adds an input, by way of a folder here: only there its digests are proven
// before a byte is sent, and its sizes known.
func (s *submission) deliver(ctx context.Context, w *tar.Writer, ref target.Ref, here, there string) error {
	if err := target.Get(ctx, s.in, ref, here); err != nil {
		return err
	}
	if err := addTree(w, here, there, false); err != nil {
		return err
	}
	return os.RemoveAll(here)
}

// errRefused ends the writing of an archive of which the engine wants no more.
var errRefused = errors.New("the container engine stopped reading")

// send unpacks what fill writes in the job's folder of a container, as it is written.
func (e *engine) send(ctx context.Context, container string, fill func(*tar.Writer) error) error {
	r, w := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		tw := tar.NewWriter(w)
		err := fill(tw)
		if err == nil {
			err = tw.Close()
		}
		w.CloseWithError(err)
		filled <- err
	}()
	_, err := e.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: root, Content: r})
	r.CloseWithError(errRefused)
	if cause := <-filled; cause != nil && !errors.Is(cause, errRefused) {
		return cause
	}
	return e.trouble("fill the container", err)
}

// header is that of the file or folder at an absolute path of the container.
func header(p string, mode int64) *tar.Header {
	name := "./" + strings.TrimPrefix(strings.TrimPrefix(p, root), "/")
	return &tar.Header{Name: name, Mode: mode, ModTime: time.Now()}
}

func addDir(w *tar.Writer, p string, mode int64) error {
	h := header(p, mode)
	h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(h.Name, "/")+"/"
	return w.WriteHeader(h)
}

func addFile(w *tar.Writer, p string, mode int64, content []byte) error {
	h := header(p, mode)
	h.Size = int64(len(content))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// addTree adds the file or folder here as there. Only regular files and folders are in
// an artifact.
func addTree(w *tar.Writer, here, there string, writable bool) error {
	return filepath.WalkDir(here, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(here, p)
		if err != nil {
			return err
		}
		to := path.Join(there, filepath.ToSlash(rel))
		if d.IsDir() {
			if writable {
				return addDir(w, to, openDir)
			}
			return addDir(w, to, readDir)
		}
		return addContent(w, p, to, writable)
	})
}

func addContent(w *tar.Writer, here, there string, writable bool) error {
	f, err := os.Open(here)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(readMode)
	if writable {
		mode = openMode
	}
	h := header(there, mode|int64(info.Mode().Perm()&0o111))
	h.Size = info.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
