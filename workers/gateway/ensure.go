package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// upWithin bounds how long a started gateway may take to open its pipe.
const upWithin = 20 * time.Second

// Ensure sees to it that a gateway works for the state folder dir, if any
// endpoint there needs one, and makes it look at what is wished now. start
// starts a process that calls Main with dir; one caller at a time does so.
func Ensure(ctx context.Context, dir string, start func(dir string) error) error {
	f := Folder{Dir: dir, Start: start}
	if nudge(dir) {
		return nil
	}
	if work, err := f.work(); !work || err != nil || start == nil {
		return err
	}
	return f.locked(ctx, startLock, func() error { return f.startOne(ctx) })
}

func (f Folder) ensure(ctx context.Context) error { return Ensure(ctx, f.Dir, f.Start) }

func (f Folder) startOne(ctx context.Context) error {
	if f.awaitGuard(ctx); nudge(f.Dir) {
		return nil
	}
	if ctx.Err() != nil { // it may have ended the wait
		return context.Cause(ctx)
	}
	if err := f.Start(f.Dir); err != nil {
		return fmt.Errorf("start the gateway of %q: %w", f.Dir, err)
	}
	limit, cancel := context.WithTimeoutCause(ctx, upWithin, errors.New("it did not come up"))
	defer cancel()
	for !nudge(f.Dir) {
		// One that found all work done has ended again, and that is well.
		if work, err := f.work(); !work || err != nil {
			return err
		}
		if err := sleep(limit, 5*time.Millisecond); err != nil {
			return fmt.Errorf("start the gateway of %q: %w within %v; the log of that process tells why", f.Dir, err, upWithin)
		}
	}
	return nil
}

// nudge tells the gateway of dir to look again and reports whether there is one.
// A named pipe is all that is needed: the kernel knows whether anyone reads it,
// it takes no command that could be abused, has the rights of a file, and its
// path may be longer than the 108 bytes of a Unix socket's.
func nudge(dir string) bool {
	fd, err := syscall.Open(pipePath(dir), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false // ENOENT: never started; ENXIO: nobody reads
	}
	defer syscall.Close(fd)
	_, _ = syscall.Write(fd, []byte{'\n'}) // a full pipe holds nudges enough
	return true
}

func pipePath(dir string) string { return Folder{Dir: dir}.path(nudgeFile) }

// openPipe opens the reading end. It is opened for writing, too, so that it
// does not end when a client closes its own.
func openPipe(dir string) (*os.File, error) {
	path := pipePath(dir)
	if err := syscall.Mkfifo(path, 0o600); err != nil && !errors.Is(err, syscall.EEXIST) {
		return nil, fmt.Errorf("make the pipe %q: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&os.ModeNamedPipe == 0 {
		err = fmt.Errorf("%q is not a named pipe: remove it", path)
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// lastLines returns the end of text: at most n lines and 8 KiB, valid UTF-8.
func lastLines(text string, n int) string {
	text = text[max(0, len(text)-8<<10):]
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.ToValidUTF8(strings.Join(lines[max(0, len(lines)-n):], "\n"), "\uFFFD")
}
