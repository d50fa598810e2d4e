package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// The folders of cleaned jobs are not removed at once, but moved aside into removed/
// and emptied when nothing starts. A file system may be slow to make new files for a
// minute or more after many were removed: ext4 steps over each inode that was freed
// lately. Jobs that start one after the other would wait for those that ended before.

// The bounds of what is left for later.
const (
	largeRemains = 1 << 20          // bytes: such a folder is removed at once
	remainFor    = 10 * time.Minute // others stay for so long
	quietFor     = 3 * time.Minute
	manyRemains  = 20_000 // beyond so many, the oldest are removed though jobs start
)

// lastStart is when this process last started a job, in seconds since 1970.
var lastStart atomic.Int64

func (d Driver) remains() string { return filepath.Join(d.Dir, "removed") }

// discard removes the folder of a cleaned job, now or later.
func (d Driver) discard(f folder, id string, now bool) error {
	if now || jobdir.Size(string(f)) > largeRemains {
		return jobdir.RemoveTree(string(f))
	}
	to := filepath.Join(d.remains(), strconv.FormatInt(time.Now().Unix(), 10)+"."+id)
	err := os.Rename(string(f), to)
	if errors.Is(err, fs.ErrNotExist) && f.exists() {
		if err := os.MkdirAll(d.remains(), 0o700); err != nil {
			return err
		}
		err = os.Rename(string(f), to)
	}
	if err != nil && f.exists() {
		return jobdir.RemoveTree(string(f))
	}
	return nil
}

// sweepRemains removes what was left for later, when the time has come.
func (d Driver) sweepRemains(ctx context.Context) error {
	entries, err := os.ReadDir(d.remains())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove what jobs have left: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names) // the oldest first: all times have as many digits
	now := time.Now()
	quiet := now.Sub(time.Unix(lastStart.Load(), 0)) > quietFor
	var errs []error
	for i, name := range names {
		seconds, _, _ := strings.Cut(name, ".")
		at, _ := strconv.ParseInt(seconds, 10, 64)
		due := quiet && now.Sub(time.Unix(at, 0)) > remainFor
		if ctx.Err() != nil || !due && len(names)-i <= manyRemains {
			break
		}
		errs = append(errs, jobdir.RemoveTree(filepath.Join(d.remains(), name)))
	}
	return errors.Join(errs...)
}
