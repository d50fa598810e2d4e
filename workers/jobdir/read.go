package jobdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OpenRegular opens the file at path for reading. It refuses what is not a
// regular file with fs.ErrInvalid, because a process may have put a link or a
// pipe there.
func OpenRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, nil, fmt.Errorf("%q is a link; only a regular file is read: %w", path, fs.ErrInvalid)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is a %s; only a regular file is read: %w", path, describe(info.Mode()), fs.ErrInvalid)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func describe(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "special file"
}

// CopyFrom copies the file at path from byte offset on to w, up to the size it
// has now, and returns the offset reached. A file that does not exist yet has
// nothing in it. When the file is shorter than offset someone cut it, and
// reading goes on at its present end.
func CopyFrom(path string, offset int64, w io.Writer) (int64, error) {
	f, info, err := OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return offset, nil
	}
	if err != nil {
		return offset, err
	}
	defer f.Close()
	if info.Size() <= offset {
		return info.Size(), nil
	}
	n, err := io.Copy(w, io.NewSectionReader(f, offset, info.Size()-offset))
	return offset + n, err
}
