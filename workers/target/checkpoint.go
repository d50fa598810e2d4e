package target

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Checkpoint says where a job leaves what it could go on from, and what it begins
// from. The job finds the folder at $AMLFLOW_CHECKPOINT; it is there when the job
// begins.
//
// Each file or folder directly in it is one checkpoint. A job writes one under a name
// that begins with a dot or ends with .tmp or .part and renames it when it is whole:
// such names are never taken.
type Checkpoint struct {
	Path string `json:"path"`           // of the folder, relative to the working directory
	Keep int    `json:"keep"`           // how many are kept, the newest; at least 1
	From Ref    `json:"from,omitempty"` // a tree that fills the folder; empty: it holds what the code has there
}

// Checkpointer is a driver that keeps checkpoints while jobs run. See Can.Checkpoints.
type Checkpointer interface {
	Driver
	// Checkpoint stores the newest checkpoints of a job as one tree. While the job
	// runs it takes only those that have not been written to for Settled; once it
	// has ended, all that are whole by their name. Of several ranks, those of rank
	// 0 count.
	//
	// mark is what the last call returned as now, and empty at first: when nothing
	// has changed since, ref is empty, and so it is when there is none. A job that
	// the target does not know has none.
	Checkpoint(ctx context.Context, t Target, id, mark string, out Blobs) (ref Ref, now string, err error)
}

// Settled is how long a checkpoint of a running job must not have been written to
// before it is taken.
const Settled = time.Second

// PutCheckpoints stores the newest checkpoints of a folder of this computer; see
// Checkpointer. Drivers whose jobs write to a folder that they see can be made of it.
func PutCheckpoints(ctx context.Context, out Blobs, dir string, keep int, running bool, mark string) (ref Ref, now string, err error) {
	before, err := whole(dir, keep, running)
	if err != nil || len(before) == 0 || before.mark() == mark {
		return "", mark, err
	}
	ref, err = PutTree(ctx, out, dir, func(path string, _ bool) bool {
		top, _, _ := strings.Cut(path, "/")
		return slices.ContainsFunc(before, func(c written) bool { return c.name == top })
	})
	if running && (errors.Is(err, fs.ErrNotExist) || changed(dir, before)) {
		return "", mark, nil // the job was quicker; the next look finds what it made of it
	}
	return ref, before.mark(), err
}

// written is one entry of a folder of checkpoints, and when anything in it was
// written to the last time.
type written struct {
	name  string
	last  time.Time
	bytes int64
}

type checkpoints []written

// mark tells one state of a folder from another.
func (cs checkpoints) mark() string {
	h := fnv.New64a()
	for _, c := range cs {
		fmt.Fprintf(h, "%q %d %d\n", c.name, c.last.UnixNano(), c.bytes)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// whole lists the newest checkpoints of dir that may be taken, the newest first.
func whole(dir string, keep int, running bool) (checkpoints, error) {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("the folder for checkpoints is a folder no longer: the job has put a file or a link in its place: %w", ErrPermanent)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all checkpoints
	for _, e := range entries {
		if Unfinished(e.Name()) || e.Type()&fs.ModeType != 0 && !e.IsDir() {
			continue
		}
		c, err := lookAt(dir, e.Name())
		if err != nil || running && time.Since(c.last) < Settled {
			continue // it is being written or removed
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b written) int {
		if c := b.last.Compare(a.last); c != 0 {
			return c
		}
		return strings.Compare(b.name, a.name)
	})
	return all[:min(len(all), max(keep, 1))], nil
}

// Unfinished reports whether a name says that its checkpoint is not whole yet.
func Unfinished(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part")
}

func lookAt(dir, name string) (written, error) {
	c := written{name: name}
	err := filepath.WalkDir(filepath.Join(dir, name), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(c.last) {
			c.last = info.ModTime()
		}
		if !d.IsDir() {
			c.bytes += info.Size()
		}
		return nil
	})
	return c, err
}

// changed reports whether one of the checkpoints is no longer what it was.
func changed(dir string, before checkpoints) bool {
	for _, was := range before {
		if now, err := lookAt(dir, was.name); err != nil || now != was {
			return true
		}
	}
	return false
}
