package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/amlflow/amlflow/workers/target"
)

// checked reads content and compares its digest at the end.
type checked struct {
	f     io.ReadCloser
	ref   target.Ref
	sum   hash.Hash
	right func() // called when the digest is the right one
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.sum.Write(p[:n])
	if err != io.EOF {
		return n, err
	}
	if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.ref.Hex() {
		return n, fmt.Errorf("artifact %s is damaged: its content now has the digest sha256:%s; remove it and run the stage that made it again: %w", c.ref, got, target.ErrPermanent)
	}
	c.right()
	return n, io.EOF
}

func (c *checked) Close() error { return c.f.Close() }

// readerIn stops reading when its context ends.
type readerIn struct {
	ctx context.Context
	r   io.Reader
}

func (r *readerIn) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Digests names content without keeping it: for a plan that is only looked at.
type Digests struct{}

var _ target.Blobs = Digests{}

// Put returns the name that content would have in a store.
func (Digests) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return target.Ref("sha256:" + hex.EncodeToString(sum.Sum(nil))), err
}

// Open always fails: nothing is kept.
func (Digests) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%s was named, not kept: %w", ref, target.ErrPermanent)
}
