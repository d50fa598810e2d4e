// Package blob keeps the contents of artifacts, each under the name of its digest.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/target"
)

// Folder is a store in a folder of this computer: sha256/ab/abcd… holds the
// content with that digest. A file there is always whole: it is written
// elsewhere, made durable, and moved into place. Any number of processes may use
// the same folder.
type Folder struct{ dir string }

var _ target.Blobs = Folder{}

// OpenFolder returns the store in dir, which is created when missing.
func OpenFolder(dir string) (Folder, error) {
	for _, sub := range []string{"sha256", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return Folder{}, fmt.Errorf("open artifact store %q: make the folder writable, or name another by `store` in amlflow.yaml or by AMLFLOW_HOME: %w", dir, err)
		}
	}
	return Folder{dir}, nil
}

func (s Folder) path(ref target.Ref) string {
	h := ref.Hex()
	return filepath.Join(s.dir, "sha256", h[:2], h)
}

// small is up to how many bytes a content is named before it is written: what is
// there already costs no file then.
const small = 32 << 10

// Put stores the content of r and returns its name.
func (s Folder) Put(ctx context.Context, r io.Reader) (target.Ref, error) {
	in := &readerIn{ctx, r}
	head := make([]byte, small)
	n, err := io.ReadFull(in, head)
	switch {
	case err == nil:
		return s.write(io.MultiReader(bytes.NewReader(head), in))
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return "", fmt.Errorf("store an artifact in %q after %d bytes: %w", s.dir, n, err)
	}
	sum := sha256.Sum256(head[:n])
	if ref := name(sum[:]); s.freshen(ref) {
		return ref, nil
	}
	return s.write(bytes.NewReader(head[:n]))
}

func name(sum []byte) target.Ref { return target.Ref("sha256:" + hex.EncodeToString(sum)) }

// write stores what r gives, which is known only at its end.
func (s Folder) write(r io.Reader) (target.Ref, error) {
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "put-*")
	if err != nil {
		return "", fmt.Errorf("store an artifact: %w", err)
	}
	defer os.Remove(tmp.Name()) // no longer there once it was moved
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, sum), r)
	if err != nil {
		return "", errors.Join(fmt.Errorf("store an artifact in %q after %d bytes: %w", s.dir, n, err), tmp.Close())
	}
	ref := name(sum.Sum(nil))
	if s.freshen(ref) { // it is there already: see use.go
		return ref, tmp.Close()
	}
	if err := errors.Join(tmp.Chmod(0o400), tmp.Sync(), tmp.Close()); err != nil {
		return "", fmt.Errorf("store an artifact of %d bytes in %q: %w", n, s.dir, err)
	}
	return ref, s.keep(tmp.Name(), ref)
}

// keep moves a finished file to its name and makes the move durable.
func (s Folder) keep(tmp string, ref target.Ref) error {
	to := s.path(ref)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("store %s: %w", ref, err)
	}
	if err := os.Rename(tmp, to); err != nil {
		return fmt.Errorf("store %s: %w", ref, err)
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open returns the content of ref. The last Read fails when what was read does
// not have the digest that names it, unless this process has already compared them
// and the file has not been written to since.
func (s Folder) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	if !ref.Valid() || ref.IsTree() {
		return nil, fmt.Errorf("%q is not the name of a stored file: %w", ref, target.ErrPermanent)
	}
	f, err := os.Open(s.path(ref))
	if errors.Is(err, fs.ErrNotExist) && s.restore(ref) {
		f, err = os.Open(s.path(ref))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("artifact %s is not in the store %q: it was removed, or kept in another store: %w", ref, s.dir, target.ErrPermanent)
	}
	if err != nil {
		return nil, err
	}
	if verified.is(f.Name(), f) {
		return f, nil
	}
	was, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &checked{f: f, ref: ref, sum: sha256.New(), right: func() { verified.keep(f.Name(), was) }}, nil
}
