package targettest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

// Blobs keeps content in memory. Its zero value is ready to use, by many at once.
type Blobs struct {
	mu sync.Mutex
	m  map[target.Ref][]byte
}

var _ target.Blobs = (*Blobs)(nil)

// Open implements target.Blobs.
func (b *Blobs) Open(_ context.Context, ref target.Ref) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.m[ref]
	if !ok {
		return nil, fmt.Errorf("there is no content %s", ref)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Put implements target.Blobs.
func (b *Blobs) Put(_ context.Context, r io.Reader) (target.Ref, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	ref := target.Ref("sha256:" + hex.EncodeToString(sum[:]))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[target.Ref][]byte{}
	}
	b.m[ref] = data
	return ref, nil
}

// Text returns the content of ref, or "" when there is none.
func (b *Blobs) Text(ref target.Ref) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.m[ref])
}

// Add stores text and returns its name.
func (b *Blobs) Add(t testing.TB, text string) target.Ref {
	t.Helper()
	ref, err := b.Put(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// LogBlobs is Blobs that shows of each content whether it was stored as a log.
type LogBlobs struct{ Blobs }

var _ target.LogBlobs = (*LogBlobs)(nil)

// PutLog implements target.LogBlobs.
func (b *LogBlobs) PutLog(ctx context.Context, r io.Reader) (target.Ref, error) {
	return b.Put(ctx, io.MultiReader(strings.NewReader("log: "), r))
}
