package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// PutCheckpoints stores the newest checkpoints of a unit, as target.PutCheckpoints does
// with a folder of this computer.
func (m *Machine) PutCheckpoints(ctx context.Context, out target.Blobs, unit string, c target.Checkpoint, running bool, mark string) (ref target.Ref, now string, err error) {
	if err := checkUnit(unit); err != nil {
		return "", mark, err
	}
	dir := path.Join("code", c.Path)
	before, err := m.written(ctx, unit, dir, running)
	if err != nil {
		return "", mark, err
	}
	before = before[:min(len(before), max(c.Keep, 1))]
	if len(before) == 0 || before.mark() == mark {
		return "", mark, nil
	}
	list, err := m.pick(ctx, unit, dir, before, out)
	if running {
		after, again := m.written(ctx, unit, dir, running)
		if err = errors.Join(err, again); !after.have(before) {
			return "", mark, again // the job was quicker; the next look finds what it made of it
		}
	}
	if err != nil {
		return "", mark, err
	}
	ref, err = target.PutList(ctx, out, list)
	return ref, before.mark(), err
}

// saved is one checkpoint, and when anything in it was written to the last time.
type saved struct {
	name  string
	last  float64 // seconds since 1970, by the clock of the file system
	bytes int64
	odd   string // a path in it that cannot be kept
}

type checkpoints []saved

// mark tells one state of a folder from another.
func (cs checkpoints) mark() string {
	h := fnv.New64a()
	for _, c := range cs {
		fmt.Fprintf(h, "%q %v %d\n", c.name, c.last, c.bytes)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// have reports whether all of those are still as they were.
func (cs checkpoints) have(those checkpoints) bool {
	return !slices.ContainsFunc(those, func(c saved) bool { return !slices.Contains(cs, c) })
}

// written lists the checkpoints of a unit that may be taken, the newest first.
func (m *Machine) written(ctx context.Context, unit, dir string, running bool) (checkpoints, error) {
	text, err := m.ask(ctx, say(dir), "written", unit)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	now, err := strconv.ParseFloat(lines[0], 64)
	if err != nil {
		return nil, nil //nolint:nilerr // there is no such folder
	}
	byName := map[string]saved{}
	for _, line := range lines[1:] {
		f := strings.SplitN(line, " ", 4) // when, size, kind, path
		if len(f) != 4 {
			continue // the rest of a name with a line break, which is passed over below
		}
		at, unclear := strconv.ParseFloat(f[0], 64)
		size, odd := strconv.ParseInt(f[1], 10, 64)
		if errors.Join(unclear, odd) != nil {
			continue
		}
		name, _, inside := strings.Cut(strings.TrimPrefix(f[3], "./"), "/")
		c := byName[name]
		c.name, c.last = name, max(c.last, at)
		switch {
		case f[2] == "f":
			c.bytes += size
		case f[2] != "d" && inside:
			c.odd = f[3]
		case f[2] != "d":
			continue // a link or a special file is no checkpoint
		}
		byName[name] = c
	}
	var all checkpoints
	for name, c := range byName {
		if !target.Unfinished(name) && (!running || now-c.last >= settled(c.last)) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b saved) int {
		switch {
		case a.last > b.last:
			return -1
		case a.last < b.last:
			return 1
		}
		return strings.Compare(b.name, a.name)
	})
	return all, nil
}

// settled is how long what was written at a time must not have been written to: not all
// hosts tell fractions of a second.
func settled(at float64) float64 {
	if at == float64(int64(at)) {
		return target.Settled.Seconds() + 1
	}
	return target.Settled.Seconds()
}

// pick stores the files of some checkpoints.
func (m *Machine) pick(ctx context.Context, unit, dir string, these checkpoints, out target.Blobs) ([]target.Entry, error) {
	names := []string{dir}
	for _, c := range these {
		if c.odd != "" {
			return nil, fmt.Errorf("%q is a link or a special file; only regular files and folders can be kept: %w", c.odd, target.ErrPermanent)
		}
		names = append(names, "./"+c.name)
	}
	return m.putTar(ctx, say(names...), out, "pick", unit)
}

// say is a feed of lines.
func say(lines ...string) feed {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
		return err
	}
}
