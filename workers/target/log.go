package target

import (
	"context"
	"io"
	"os"
)

// LogBlobs is Blobs that treat a log in another way than what a job made: those of
// a job with secrets mask them in it.
type LogBlobs interface {
	Blobs
	PutLog(ctx context.Context, r io.Reader) (Ref, error)
}

// PutLog stores a log of a job. A driver stores logs in no other way. A file that is
// given as it is may be taken over; see Adopt.
func PutLog(ctx context.Context, out Blobs, r io.Reader) (Ref, error) {
	if b, ok := out.(LogBlobs); ok {
		return b.PutLog(ctx, r)
	}
	if f, ok := r.(*os.File); ok {
		return Adopt(ctx, out, f)
	}
	return out.Put(ctx, r)
}

// Adopter is Blobs that may keep a file itself instead of a copy.
type Adopter interface {
	Blobs
	Adopt(ctx context.Context, f *os.File) (Ref, error)
}

// Adopt stores the content of the file f, which was opened for reading by its path.
// The caller gives it away: nothing writes to it any more, and of its name only the
// removal is left to do. It may be read as before.
func Adopt(ctx context.Context, out Blobs, f *os.File) (Ref, error) {
	if a, ok := out.(Adopter); ok {
		return a.Adopt(ctx, f)
	}
	return out.Put(ctx, f)
}
