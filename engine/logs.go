package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// Logs copies the log of a stage's last attempt from offset on, as far as it has
// been written, and returns the offset reached. While the job's folder exists it
// is read there; afterwards the kept copy is: that of the rank that decided the end,
// and those of the others where the target has kept them.
func (e *Engine) Logs(ctx context.Context, s *flow.StageProgress, store string, rank int, offset int64, w io.Writer) (int64, error) {
	if s.Job == "" || s.Place == nil {
		return offset, nil
	}
	if s.Log == "" || rank != s.Rank && s.Logs == "" {
		return e.stream(ctx, s, target.Stream{Name: target.Log, Rank: rank}, offset, w)
	}
	b, err := blob.OpenFolder(store)
	if err != nil {
		return offset, err
	}
	log, err := keptLog(ctx, b, s, rank)
	if log == "" || err != nil {
		return offset, err
	}
	r, err := b.Open(ctx, log)
	if err != nil {
		return offset, removed(b, log, err)
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		if errors.Is(err, io.EOF) {
			return offset, nil
		}
		return offset, err
	}
	n, err := io.Copy(w, r)
	return offset + n, err
}

// keptLog finds the log of a rank in the store; empty when there is no such rank, or it
// has written nothing.
func keptLog(ctx context.Context, b blob.Folder, s *flow.StageProgress, rank int) (target.Ref, error) {
	if rank == s.Rank {
		return s.Log, nil
	}
	all, err := target.ListTree(ctx, b, s.Logs)
	if err != nil {
		return "", removed(b, s.Logs, err)
	}
	for _, one := range all {
		if one.Path == strconv.Itoa(rank) {
			return one.Ref, nil
		}
	}
	return "", nil
}

// Metrics copies what a running stage has reported so far, as JSON lines.
func (e *Engine) Metrics(ctx context.Context, s *flow.StageProgress, offset int64, w io.Writer) (int64, error) {
	if s.Job == "" || s.Place == nil {
		return offset, nil
	}
	return e.stream(ctx, s, target.Stream{Name: target.Metrics}, offset, w)
}

func (e *Engine) stream(ctx context.Context, s *flow.StageProgress, from target.Stream, offset int64, w io.Writer) (int64, error) {
	d, ok := e.o.Drivers[s.Place.Kind]
	if !ok {
		return offset, fmt.Errorf("this program has no driver for targets of kind %q", s.Place.Kind)
	}
	read := func(offset int64, w io.Writer) (int64, error) {
		return d.Read(ctx, *s.Place, s.Job, from, offset, w)
	}
	if len(s.Secrets) == 0 {
		return read(offset, w)
	}
	return e.masked(ctx, s, offset, w, read)
}

// masked is what read gives without the secrets of the stage. They are looked for
// only when there is something to show.
func (e *Engine) masked(ctx context.Context, s *flow.StageProgress, offset int64, w io.Writer, read func(int64, io.Writer) (int64, error)) (int64, error) {
	var first glance
	if reached, err := read(offset, &first); !first.some {
		return reached, err
	}
	m, err := e.masker(ctx, s)
	if err != nil {
		return offset, err
	}
	return m.Window(w, offset, s.Status.Ended(), read)
}

// glance takes nothing of what it is written, and tells whether there was something.
type glance struct{ some bool }

func (g *glance) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	g.some = true
	return 0, io.ErrShortWrite
}
