package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/amlflow/amlflow/workers/target"
)

// worthwhile is from how many bytes on a file is taken over: a small one is copied
// at less cost, and is then nobody else's.
const worthwhile = 1 << 20

var _ target.Adopter = Folder{}

// Adopt stores the content of f under its digest by giving the file itself a second
// name, so that nothing is written. What could still be changed by someone, or lies
// on another file system, is copied.
func (s Folder) Adopt(ctx context.Context, f *os.File) (target.Ref, error) {
	before, err := f.Stat()
	if err != nil {
		return "", err
	}
	if before.Size() < worthwhile || links(before) != 1 || !unwritten(f) {
		return s.Put(ctx, f)
	}
	tmp, ok := s.link(f, before)
	if !ok {
		return s.Put(ctx, f)
	}
	defer os.Remove(tmp) // no longer there once it was moved
	ref, err := nameAndSync(ctx, f)
	if err != nil {
		return "", fmt.Errorf("store an artifact of %d bytes in %q: %w", before.Size(), s.dir, err)
	}
	if s.freshen(ref) {
		return ref, nil
	}
	return ref, s.keep(tmp, ref)
}

// links counts the names of a file. One that has others is someone else's, too.
func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) //nolint:unconvert // it is smaller elsewhere
	}
	return 0
}

// link gives the file a name among those that are being stored. It takes no folder to be
// alone in: what a file system does with names can wait for the disk.
func (s Folder) link(f *os.File, info fs.FileInfo) (tmp string, ok bool) {
	tmp = filepath.Join(s.dir, "tmp", "adopt-"+rand.Text())
	if os.Link(f.Name(), tmp) != nil {
		return "", false
	}
	if linked, err := os.Lstat(tmp); err != nil || !os.SameFile(info, linked) || f.Chmod(0o400) != nil {
		os.Remove(tmp)
		return "", false
	}
	return tmp, true
}

// nameAndSync reads the file once, while the disk takes what it does not have yet.
func nameAndSync(ctx context.Context, f *os.File) (target.Ref, error) {
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	sum := sha256.New()
	_, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{&readerIn{ctx, f}}, make([]byte, 256<<10))
	return name(sum.Sum(nil)), errors.Join(err, <-synced)
}
