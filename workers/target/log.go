package target

import (
	"context"
	"io"
)

// LogBlobs is Blobs that treat a log in another way than what a job made: those of
// a job with secrets mask them in it.
type LogBlobs interface {
	Blobs
	PutLog(ctx context.Context, r io.Reader) (Ref, error)
}

// PutLog stores a log of a job. A driver stores logs in no other way.
func PutLog(ctx context.Context, out Blobs, r io.Reader) (Ref, error) {
	if b, ok := out.(LogBlobs); ok {
		return b.PutLog(ctx, r)
	}
	return out.Put(ctx, r)
}
