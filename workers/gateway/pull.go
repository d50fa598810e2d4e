package gateway

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/amlflow/amlflow/workers/jobdir"
)

// The log of an instance is one file here, to which all its starts append. What a start
// on another machine has written comes into it when that start has ended, or has failed;
// what is still there is read there.

// mostLog bounds what is fetched of the log of one start.
const mostLog = 16 << 20

const logCut = "\n[what this start wrote after this was left where it ran]\n"

// pull appends to the log what the present start has written since the last time.
func (i *instance) pull(ctx context.Context) error {
	l, err := i.life()
	if err != nil || i.of.here() || l.start == 0 {
		return err
	}
	i.pulling.Lock()
	defer i.pulling.Unlock()
	return l.pull(ctx, i.maker, i.view().LogFrom)
}

// pull appends to the log of the instance what a start has written since the last time.
// What it wrote begins there at from.
func (l life) pull(ctx context.Context, m maker, from int64) error {
	f, err := os.OpenFile(logPath(instanceDir(l.of.dir, l.number)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have := info.Size() - from
	if have >= mostLog {
		return nil
	}
	_, err = m.read(ctx, l, have, &bounded{f, mostLog - have})
	if errors.Is(err, errLong) {
		_, err = io.WriteString(f, logCut)
	}
	return err
}

// pullLast is pull for a life that has ended, if it is the last of its instance.
func (l life) pullLast(ctx context.Context, m maker) error {
	var now start
	if l.of.here() || readJSON(instanceDir(l.of.dir, l.number), nowFile, &now) != nil || now.Start != l.start {
		return nil
	}
	return l.pull(ctx, m, now.LogFrom)
}

var errLong = errors.New("the log is long")

// bounded takes so many bytes and no more.
type bounded struct {
	to   io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	n, err := b.to.Write(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == nil && n < len(p) {
		err = errLong
	}
	return n, err
}

// readLog copies the log of an instance from an offset on, also what is not here yet.
func (f Folder) readLog(ctx context.Context, d *deployment, number int, offset int64, w io.Writer) (int64, error) {
	path := logPath(instanceDir(d.dir, number))
	if d.here() {
		if info, err := os.Lstat(path); err == nil && info.Size() < offset {
			offset = 0
		}
		return jobdir.CopyFrom(path, offset, w)
	}
	var size int64
	if info, err := os.Lstat(path); err == nil {
		size = info.Size()
	}
	var s start
	l := life{of: d, number: number}
	err := readJSON(instanceDir(d.dir, number), nowFile, &s)
	if l.start = s.Start; err == nil {
		err = readJSON(l.dir(), seatFile, &l.seat)
	}
	if offset < size || err != nil {
		reached, bad := jobdir.CopyFrom(path, min(offset, size), w)
		if bad != nil || err != nil {
			return reached, bad // it has no start now, or none any more
		}
		offset = reached
	}
	m, err := f.maker(d, nil)
	if err != nil || size-s.LogFrom >= mostLog {
		return offset, err
	}
	reached, err := m.read(ctx, l, offset-s.LogFrom, w)
	if reached += s.LogFrom; reached < offset && err == nil {
		return f.readLog(ctx, d, number, 0, w) // the offset is that of an earlier deployment
	}
	return reached, err
}
