package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// cut is the part of a log that start.sh took out of the file, since the log had grown
// too long. Offsets of a log count what was written, and so what is left out, too: behind
// it, a byte of the log is nearer to the beginning of the file than its offset says.
type cut struct {
	where   int64 // the first byte that is left out
	gone    int64 // how many are
	pending int64 // how many more are being taken out just now
	before  int64 // the size of the file before that
}

// readCut reads which part of a log was taken out. The job could have written the record
// itself; one that makes no sense is none.
func (e *engine) readCut(ctx context.Context, container, log string, rank int) (cut, error) {
	text, err := e.small(ctx, container, ofRank(rank, cutFile))
	if err != nil {
		return cut{}, err
	}
	var c cut
	n, _ := fmt.Sscan(text, &c.where, &c.gone, &c.pending, &c.before)
	if n != 4 || min(c.where, c.gone, c.pending, c.before) < 0 || max(c.gone, c.pending) > math.MaxInt64/4 {
		return cut{}, nil
	}
	return c, nil
}

// settle decides, when nobody is at it any more, whether what was pending was done.
func (c cut) settle(size int64) cut {
	if c.pending > 0 && size < c.before {
		c.gone += c.pending
	}
	c.pending, c.before = 0, 0
	return c
}

// end is the first offset that is kept again.
func (c cut) end() int64 { return c.where + c.gone }

// inFile is where the file has what is at an offset of the log.
func (c cut) inFile(offset int64) int64 {
	if c.gone > 0 && offset > c.where {
		return max(c.where, offset-c.gone)
	}
	return offset
}

// line is what is read in place of what is left out from offset on.
func (c cut) line(offset, most int64) []byte {
	return fmt.Appendf(nil, "\n[%d bytes are left out here: a log is kept up to %s, which `log` of the target sets]\n", c.end()-offset, jobdir.FormatBytes(most))
}

// logOf is the log of one rank in a container.
type logOf struct {
	*engine
	container string
	rank      int
	most      int64
	alive     bool // start.sh may take something out of it at any time
}

// looks is how often a log is looked at that is being shortened just now. That takes the
// system no time, so that one look is mostly enough.
const looks = 50

// look returns the size of the file and what was taken out of it, at one moment.
func (l logOf) look(ctx context.Context) (size int64, c cut, err error) {
	path := ofRank(l.rank, logFile)
	for range looks {
		if size, err = l.size(ctx, l.container, path); err != nil {
			return 0, cut{}, err
		}
		if !l.mayBeCut(size) {
			return size, cut{}, nil
		}
		c, err = l.readCut(ctx, l.container, path, l.rank)
		if err != nil || !l.alive {
			return size, c.settle(size), err
		}
		again, err := l.size(ctx, l.container, path)
		if err != nil {
			return 0, cut{}, err
		}
		after, err := l.readCut(ctx, l.container, path, l.rank)
		if err != nil || after == c && c.pending == 0 {
			return again, c, err
		}
	}
	return 0, cut{}, fmt.Errorf("its log is always being shortened")
}

// mayBeCut reports whether something can be missing in a file of a size: what is kept of
// the beginning is still there.
func (l logOf) mayBeCut(size int64) bool { return l.most > 0 && size > l.most/2-leastLog }

// copy copies the log from byte offset on to w, and returns the offset reached.
func (l logOf) copy(ctx context.Context, offset int64, w io.Writer) (int64, error) {
	size, c, err := l.look(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return offset, nil
	}
	if whole := size + c.gone; err != nil || whole <= offset {
		return min(whole, offset), err
	}
	content, _, err := l.file(ctx, l.container, ofRank(l.rank, logFile))
	if err != nil {
		return offset, err
	}
	defer content.Close()
	if _, err := io.CopyN(io.Discard, content, c.inFile(offset)); err != nil {
		return offset, l.unless(ctx, c, ignoreEOF(err))
	}
	buf := make([]byte, 1<<20)
	for {
		if c.gone > 0 && offset >= c.where && offset < c.end() {
			if _, err := w.Write(c.line(offset, l.most)); err != nil {
				return offset, err
			}
			offset = c.end()
		}
		part := buf
		if c.gone > 0 && offset < c.where {
			part = buf[:min(int64(len(buf)), c.where-offset)]
		}
		n, err := io.ReadFull(content, part)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if err != nil && err != io.EOF {
			return offset, l.unless(ctx, c, err)
		}
		if l.alive && l.mayBeCut(c.inFile(offset)+int64(n)) {
			// What was taken out meanwhile has moved what follows it.
			if same, looked := l.same(ctx, c); looked != nil || !same {
				return offset, looked
			}
		}
		m, written := w.Write(part[:n])
		if offset += int64(m); written != nil {
			return offset, written
		}
		if err == io.EOF {
			return offset, nil
		}
	}
}

// same reports whether nothing was taken out of the log since a look.
func (l logOf) same(ctx context.Context, was cut) (bool, error) {
	now, err := l.readCut(ctx, l.container, ofRank(l.rank, logFile), l.rank)
	return now == was, err
}

// unless is the trouble with reading a log, unless it came from shortening it: whoever
// reads on then finds it as it is.
func (l logOf) unless(ctx context.Context, was cut, err error) error {
	if err == nil || !l.alive {
		return err
	}
	if same, looked := l.same(ctx, was); looked == nil && !same {
		return nil
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil // someone cut it short
	}
	return err
}

// putLog stores the log of a rank; the name is empty when there is none.
func (e *engine) putLog(ctx context.Context, container string, rank int, r record, out target.Blobs) (target.Ref, error) {
	if r.Bare {
		log, err := e.engineLog(ctx, container)
		if err != nil {
			return "", err
		}
		defer log.Close()
		return target.PutLog(ctx, out, log)
	}
	l := logOf{engine: e, container: container, rank: rank, most: r.Log}
	if _, err := e.size(ctx, container, ofRank(rank, logFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return "", err
	}
	from, w := io.Pipe()
	go func() {
		_, err := l.copy(ctx, 0, w)
		w.CloseWithError(err)
	}()
	defer from.Close()
	return target.PutLog(ctx, out, from)
}
