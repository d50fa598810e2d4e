package targettest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"hash"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

// large is how many bytes the large content has. With 1<<30 the exam takes minutes on a
// slow way to the target, and says more.
var large = flag.Int64("large", 96<<20, "the bytes of the large content in the exam of drivers")

// mostHeld bounds what a driver may hold in memory, beyond what it held before, while
// it moves a content of any size.
const mostHeld = 48 << 20

var largeQuestions = []question{{"LargeContentsAreStreamed", largeContentsAreStreamed}}

// largeContentsAreStreamed sends a content that fits into no memory, as it were, and has
// it back.
func largeContentsAreStreamed(t *testing.T, h Harness) {
	b := &endless{Blobs: &Blobs{}, size: *large}
	j := h.job("large", `cat "$AMLFLOW_INPUT_DATA" >"$AMLFLOW_OUTPUT_ONE_FILE"`)
	j.Inputs = []target.Artifact{{Name: "data", Type: target.File, Ref: b.ref(t)}}
	j.Outputs = threeOutputs[:1]
	h.Patience = 10 * time.Minute
	held := peak(func() {
		h.succeed(t, j, b)
		if got := h.collect(t, j.ID, b).Artifacts["one.file"]; got != j.Inputs[0].Ref {
			t.Errorf("sent was %s, back came %s", j.Inputs[0].Ref, got)
		}
	})
	if held > mostHeld {
		t.Errorf("%d MiB were held in memory for a content of %d MiB", held>>20, *large>>20)
	}
}

// peak returns by how many bytes the heap has grown, at most, while do was running.
func peak(do func()) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	before, most := heap(), int64(0)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				most = max(most, heap()-before)
			}
		}
	})
	do()
	close(done)
	watch.Wait()
	return most
}

// endless is Blobs with one large content that is in no memory: it is made while it is
// read, and what is stored is only counted, if it is large.
type endless struct {
	*Blobs
	size int64
}

// pattern is the byte at an offset: one that no compression makes small.
type pattern struct{ at, size int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at >= p.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.size-p.at)]
	for i := range b {
		x := uint64(p.at) + uint64(i)
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		b[i] = byte(x >> 56)
	}
	p.at += int64(len(b))
	return len(b), nil
}

func (e *endless) ref(t *testing.T) target.Ref {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, &pattern{size: e.size}); err != nil {
		t.Fatal(err)
	}
	return named(sum)
}

func named(sum hash.Hash) target.Ref {
	return target.Ref("sha256:" + hex.EncodeToString(sum.Sum(nil)))
}

// Open implements target.Blobs.
func (e *endless) Open(ctx context.Context, ref target.Ref) (io.ReadCloser, error) {
	if r, err := e.Blobs.Open(ctx, ref); err == nil {
		return r, nil
	}
	return io.NopCloser(&pattern{size: e.size}), nil
}

// Put implements target.Blobs.
func (e *endless) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return named(sum), err
}

// Adopt implements target.Adopter: a driver of the same computer hands over files.
func (e *endless) Adopt(ctx context.Context, f *os.File) (target.Ref, error) {
	ref, err := e.Put(ctx, f)
	_, back := f.Seek(0, io.SeekStart)
	return ref, errors.Join(err, back)
}
