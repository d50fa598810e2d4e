package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/amlflow/amlflow/workers/target"
)

// contentsDir holds what the instances of a deployment are given that are no processes
// of this computer, each content under its digest: an instance may have to be begun
// again when the artifact store has long forgotten them, or is out of reach.
const contentsDir = "contents"

// contents is that of one deployment, by its folder, as the source of its jobs.
type contents string

var _ target.Blobs = contents("")

func (c contents) path(ref target.Ref) string {
	return filepath.Join(string(c), contentsDir, ref.Hex())
}

// Open implements target.Blobs.
func (c contents) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	if !ref.Valid() {
		return nil, fmt.Errorf("%.80q is no name of a content: %w", ref, target.ErrPermanent)
	}
	f, err := os.Open(c.path(ref))
	if err != nil {
		return nil, err
	}
	return proven{f, ref, sha256.New()}, nil
}

// Put implements target.Blobs. Instances leave nothing.
func (c contents) Put(context.Context, io.Reader) (target.Ref, error) {
	return "", errors.New("a deployment keeps nothing of its instances")
}

// deliverContents copies all that the jobs of a deployment need.
func deliverContents(ctx context.Context, dir string, w wish, in target.Blobs) error {
	if err := os.MkdirAll(filepath.Join(dir, contentsDir), 0o700); err != nil {
		return err
	}
	c := contents(dir)
	for what, ref := range map[string]target.Ref{"code": w.Code, "model": w.Model} {
		if ref == "" {
			continue
		}
		if err := c.keepAll(ctx, ref, in); err != nil {
			return fmt.Errorf("deliver the %s: %w", what, err)
		}
	}
	if w.ServePy != "" {
		if err := os.WriteFile(c.path(w.ServePy), servePy, 0o600); err != nil {
			return err
		}
	}
	return syncTree(dir)
}

// keepAll copies a content and, when it is a folder, all that is in it.
func (c contents) keepAll(ctx context.Context, ref target.Ref, in target.Blobs) error {
	all, err := target.Contents(ctx, in, ref)
	for _, one := range all {
		err = errors.Join(err, c.keep(ctx, one, in))
	}
	return err
}

func (c contents) keep(ctx context.Context, ref target.Ref, in target.Blobs) error {
	if _, err := os.Lstat(c.path(ref)); err == nil {
		return nil // two files of the same content
	}
	r, err := in.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(c.path(ref), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// servePyRef is the name of the content of serve.py.
func servePyRef() target.Ref {
	return target.Ref(fmt.Sprintf("sha256:%x", sha256.Sum256(servePy)))
}

// proven is a content whose digest is compared at its end with the one that it is named by.
type proven struct {
	*os.File
	name target.Ref
	sum  hash.Hash
}

func (p proven) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	p.sum.Write(b[:n])
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.name.Hex() {
		return n, fmt.Errorf("%q is damaged: its content is sha256:%s", p.Name(), got)
	}
	return n, err
}
