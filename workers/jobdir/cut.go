package jobdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// cutFile says which part of the log is left out.
const cutFile = "cut"

// cut is the part of a log that was left out because the log had grown too long.
// From stays and To grows. Both are offsets of what the process has written, and so
// are all offsets of a log: what is left out has its place among them, so that who
// reads on needs to know nothing of it.
type cut struct {
	From int64  `json:"from"`
	To   int64  `json:"to"` // the first byte that is kept again
	Why  string `json:"why"`
}

// line is what is read in place of what is left out from offset on.
func (c cut) line(offset int64) []byte {
	return fmt.Appendf(nil, "\n[%d bytes are left out here: %s]\n", c.To-offset, c.Why)
}

// readCut returns the empty cut when nothing is left out.
func readCut(dir string) cut {
	var c cut
	// Half a record is left by a machine that went down, and the job with it.
	if ok, err := readJSON(dir, cutFile, &c); !ok || err != nil {
		return cut{}
	}
	return c
}

// Trim keeps the log of dir to about most bytes: of a longer one the middle is left
// out, and the beginning and the end are kept. The disk gets the place back where
// the system can free the middle of a file. Whoever writes to it is not disturbed.
// Why completes the sentence "123 bytes are left out here".
func Trim(dir string, most int64, why string) error {
	if info, err := os.Lstat(Log(dir)); err != nil || info.Size() <= most || !info.Mode().IsRegular() {
		return ignoreMissing(err)
	}
	// Two who trim at once would write the records in another order than the cuts.
	log, err := tryLock(Log(dir), os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, syscall.LOCK_EX)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrPermission) {
		return nil // another trims it; or it was given away
	}
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil || names(info) != 1 {
		return err // with another name it is kept elsewhere, as a whole
	}
	c := readCut(dir)
	if info.Size()-(c.To-c.From) <= most {
		return nil
	}
	if c.To == 0 {
		c.From = most / 2
	}
	c.To, c.Why = max(c.To, info.Size()-most/4), why
	if err := c.write(dir); err != nil {
		return err
	}
	return free(log, c.From, c.To-c.From)
}

func names(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) //nolint:unconvert // it is smaller elsewhere
	}
	return 1
}

// write replaces the record, before anything is freed: a reader that has seen zeros
// finds why.
func (c cut) write(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+cutFile) // the caller has locked the log
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, cutFile))
}

// CopyLog copies the log of dir from byte offset on to w, up to the size it has now,
// and returns the offset reached, like CopyFrom. In place of what is left out stands
// a line that says so, which counts for nothing in the offsets.
func CopyLog(dir string, offset int64, w io.Writer) (int64, error) {
	f, info, err := OpenRegular(Log(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return offset, nil
	}
	if err != nil {
		return offset, err
	}
	defer f.Close()
	size := info.Size()
	if size <= offset {
		return size, nil // someone cut it short
	}
	return copyAround(w, f, offset, size, func() cut { return readCut(dir) })
}

// copyAround copies bytes from offset on up to size, without those of a cut, which
// may grow at any time.
func copyAround(w io.Writer, f io.ReaderAt, offset, size int64, look func() cut) (int64, error) {
	buf := make([]byte, min(256<<10, size-offset))
	for c := look(); offset < size; {
		if c.From <= offset && offset < c.To {
			if _, err := w.Write(c.line(offset)); err != nil {
				return offset, err
			}
			offset = min(c.To, size)
			continue
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-offset)], offset)
		if n == 0 {
			if err == io.EOF {
				err = nil // someone cut it short meanwhile
			}
			return offset, err
		}
		// What was left out while it was read may have been read as zeros.
		if c = look(); c.To > offset && c.From < offset+int64(n) {
			n = int(max(0, c.From-offset))
		}
		n, err = w.Write(buf[:n])
		if offset += int64(n); err != nil {
			return offset, err
		}
	}
	return offset, nil
}

// OpenLog opens the log of an ended process for reading as CopyLog shows it. It is
// the file itself, an *os.File, when nothing is left out.
func OpenLog(dir string) (io.ReadCloser, error) {
	f, info, err := OpenRegular(Log(dir))
	if err != nil {
		return nil, err
	}
	if c := readCut(dir); c.To == 0 {
		return f, nil
	}
	r, w := io.Pipe()
	go func() {
		defer f.Close()
		_, err := copyAround(w, f, 0, info.Size(), func() cut { return readCut(dir) })
		w.CloseWithError(err)
	}()
	return r, nil
}
