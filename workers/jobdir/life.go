package jobdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The words that begin the lines of the life of a process.
const (
	starting = "starting" // the boot id of the machine
	started  = "started"  // the pid of the supervisor
	exited   = "exit"     // the exit status as the shell shows it
	end      = "end"      // the verdict, as JSON
)

// life is what happened to a process, as its file tells it. Of each kind of line
// the first that is whole counts; every line is appended by a single write.
type life struct {
	starting bool
	boot     string
	pid      int // of the supervisor; 0 until it has written its line
	exited   bool
	status   int
	end      *View
	// torn says that something stands there that no one wrote like this: the
	// machine went down before it was on the disk.
	torn bool
	open bool      // the last line lacks its newline
	last time.Time // when something was written last
}

// readLife reads the life of the process of dir. One that has no file has not begun.
func readLife(dir string) (l life, err error) {
	f, err := os.Open(filepath.Join(dir, lifeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return l, err
	}
	// After the text: a time that is older than a line in it would be wrong.
	info, err := f.Stat()
	if err != nil {
		return l, err
	}
	l = parseLife(text)
	l.last = info.ModTime()
	return l, nil
}

func parseLife(text []byte) (l life) {
	for line := range bytes.Lines(text) {
		whole, ok := bytes.CutSuffix(line, []byte("\n"))
		l.open = !ok
		if word, rest, _ := strings.Cut(string(whole), " "); !ok || !l.take(word, rest) {
			l.torn = true
		}
	}
	return l
}

// take adds one line, and reports whether it is one that someone writes.
func (l *life) take(word, rest string) bool {
	switch word {
	case "": // what was added after a torn line begins with a newline
	case starting:
		l.starting, l.boot = true, rest
	case started:
		pid, err := strconv.Atoi(rest)
		l.pid = pid
		return err == nil
	case exited:
		status, err := strconv.Atoi(rest)
		l.exited, l.status = err == nil, status
		return err == nil
	case end:
		var v View
		if err := json.Unmarshal([]byte(rest), &v); err != nil {
			return false
		}
		if l.end == nil {
			l.end = &v
		}
	default:
		return false
	}
	return true
}

// mayHaveRun reports whether the process was started, as far as is known. The
// supervisor writes its line before it runs anything: a mark of this boot without
// that line is of a starter that died before there was a supervisor, or whose
// supervisor is about to write.
func (l life) mayHaveRun() bool {
	return l.torn || l.starting && (l.boot != BootID() || l.pid != 0 || l.exited)
}

// mark makes it durable that the process is about to start. The caller holds the
// lock, which is the file itself.
func (l life) mark(dir string, file *os.File) error {
	if !l.starting {
		if _, err := file.WriteString(starting + " " + BootID() + "\n"); err != nil {
			return errors.Join(err, file.Truncate(0))
		}
	}
	// Also when a starter that died has written it: it may have died before this.
	return errors.Join(file.Sync(), syncDir(dir))
}

// unmark takes back a mark after which nothing was started.
func unmark(file *os.File) error {
	return errors.Join(file.Truncate(0), file.Sync())
}

// conclude adds the verdict v, unless another was first, and returns the one that
// counts.
func (l life) conclude(dir string, v View) (View, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	line := end + " " + string(text) + "\n"
	if l.open {
		line = "\n" + line
	}
	f, err := os.OpenFile(filepath.Join(dir, lifeFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return v, err
	}
	_, err = f.WriteString(line)
	if err := errors.Join(err, f.Close()); err != nil {
		return v, err
	}
	if l, err = readLife(dir); err == nil && l.end == nil {
		err = fmt.Errorf("%q does not hold what was written to it", filepath.Join(dir, lifeFile))
	}
	if err != nil {
		return v, err
	}
	return *l.end, nil
}

// Settle makes durable what Look has said of the process of dir: an end that was
// only looked at may be another one after the machine went down.
func Settle(dir string) error {
	f, err := os.Open(filepath.Join(dir, lifeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// The folder was made durable before the process started, if it did.
	return errors.Join(f.Sync(), f.Close())
}
