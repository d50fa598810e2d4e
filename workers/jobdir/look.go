package jobdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Phase is where a process is in its life. It moves down the list only.
type Phase string

// The phases.
const (
	New     Phase = "new"     // not started yet
	Running Phase = "running" // also while the last of its children are being killed
	Ended   Phase = "ended"   // with a Status, or stopped before it could start
	Lost    Phase = "lost"    // its supervisor ended without a record of its exit
)

// View is one look at a process.
type View struct {
	Phase Phase `json:"phase"`
	// PID is the supervisor's, and the number of the process group, while it runs.
	PID int `json:"pid,omitempty"`
	// Status is the exit status as a shell shows it: 128+n when signal n ended
	// the process (POSIX, XCU 2.8.2).
	Status int `json:"status"`
	// Stopped is the cause given to Stop when that is why the process ended. A
	// process that had ended by itself before keeps its own end.
	Stopped   string    `json:"stopped,omitempty"`
	Unstarted bool      `json:"unstarted,omitempty"` // the command could not be executed
	OOM       bool      `json:"oom,omitempty"`       // the kernel killed a part of it for want of memory
	Reason    string    `json:"reason,omitempty"`    // why it is lost
	Notes     []string  `json:"notes,omitempty"`     // limits that this machine cannot enforce
	Start     time.Time `json:"start,omitzero"`
	End       time.Time `json:"end,omitzero"`
}

// Signal returns the signal that ended the process, or 0. By the convention of
// shells a process that exits with 128+n by itself cannot be told from one that
// signal n ended; the number stays in Status either way.
func (v View) Signal() int {
	if v.Phase == Ended && v.Status > 128 && v.Status < 128+32 {
		return v.Status - 128
	}
	return 0
}

// Look reports how the process of dir is. It also does what is due, because no
// one else may be alive to do it: a process that outstays its grace is killed,
// and so is all that an ended one left behind. An end is reported only once its
// record is durable, and never changes afterwards.
func Look(dir string) (View, error) {
	var v View
	if ok, err := readJSON(dir, endFile, &v); ok || err != nil {
		return v, err
	}
	if ended, err := readExit(dir, &v); ended || err != nil {
		return conclude(dir, v, err)
	}
	lock, held, err := keepFree(dir)
	if err != nil {
		return v, err
	}
	if held {
		return lookRunning(dir)
	}
	defer lock.Close()
	// The wrapper writes the exit record before its lock becomes free, so only
	// now does the absence of the record mean anything.
	if ended, err := readExit(dir, &v); ended || err != nil {
		return conclude(dir, v, err)
	}
	return lookFree(dir, lock != nil)
}

func lookRunning(dir string) (View, error) {
	v := View{Phase: Running, Start: startTime(dir), Notes: notes(dir)}
	if !exists(dir, startingFile) {
		v.Phase = New
		return v, nil
	}
	v.PID = supervisor(dir)
	s, stopped, err := readStop(dir)
	if stopped && time.Since(s.At) > s.Grace {
		killAll(dir)
	}
	return v, err
}

// lookFree looks at a folder without a supervisor and without an exit record.
// Without a lock nothing was started when we looked for one.
func lookFree(dir string, locked bool) (View, error) {
	v := View{Phase: New}
	s, stopped, err := readStop(dir)
	if err != nil {
		return v, err
	}
	boot, err := os.ReadFile(filepath.Join(dir, startingFile))
	if !locked {
		err = fs.ErrNotExist
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && !stopped:
		return v, nil
	case errors.Is(err, fs.ErrNotExist):
		return conclude(dir, View{Phase: Ended, Stopped: s.Cause, Status: 128 + int(syscall.SIGTERM), End: s.At}, nil)
	case err != nil:
		return v, err
	}
	v = View{Start: startTime(dir), End: time.Now()}
	switch was := strings.TrimSpace(string(boot)); {
	case stopped:
		v.Phase, v.Stopped, v.Status = Ended, s.Cause, 128+int(syscall.SIGKILL)
	case was != BootID():
		v.Phase, v.Reason = Lost, "the machine was restarted while it ran"
	default:
		v.Phase, v.Reason = Lost, "its supervisor ended without a record of its exit"
	}
	return conclude(dir, v, nil)
}

// conclude kills what is left of the process and writes the verdict v, unless
// another reader was first.
func conclude(dir string, v View, err error) (View, error) {
	if err != nil {
		return v, err
	}
	if left := killAll(dir); left > 0 {
		return View{Phase: Running, Start: v.Start, Notes: notes(dir)}, nil
	}
	l := readLimits(dir)
	v.Unstarted = exists(dir, unstartedFile)
	v.OOM = l.oomKills() > 0
	v.Notes = notes(dir)
	// A wrapper that was stopped, or killed, before it ran anything left them.
	if err := dropSecrets(dir); err != nil {
		return View{}, fmt.Errorf("remove its secrets: %w", err)
	}
	if err := writeFirst(dir, endFile, v); err != nil {
		return View{}, fmt.Errorf("record the end: %w", err)
	}
	l.remove()
	_, err = readJSON(dir, endFile, &v)
	return v, err
}

// readExit reads the exit record into v and reports whether it is whole.
func readExit(dir string, v *View) (bool, error) {
	path := filepath.Join(dir, exitFile)
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 || text[len(text)-1] != '\n' {
		return false, ignoreMissing(err)
	}
	status, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return false, fmt.Errorf("%q is not an exit record: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	*v = View{Phase: Ended, Status: status, Start: startTime(dir), End: info.ModTime()}
	s, stopped, err := readStop(dir)
	if stopped && !info.ModTime().Before(s.At) {
		v.Stopped = s.Cause
	}
	return true, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// keepFree reports whether someone holds the lock of dir for good. If not, no one
// starts the process before the file is closed: what is found out until then
// stays true. There is no file, and nothing to keep, when nothing was ever started.
func keepFree(dir string) (lock *os.File, held bool, err error) {
	if !exists(dir, lockFile) && !exists(dir, startingFile) {
		return nil, false, nil
	}
	lock, err = TryLock(filepath.Join(dir, lockFile), syscall.LOCK_SH)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, true, nil
	}
	return lock, false, err
}

// lockHeld reports whether someone holds the lock of dir for good. Other
// readers hold it, too, but together with us.
func lockHeld(dir string) (bool, error) {
	lock, held, err := keepFree(dir)
	lock.Close()
	return held, err
}

// startTime tells when the process of dir started, as well as it is known.
func startTime(dir string) time.Time {
	for _, name := range []string{startedFile, startingFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}

// supervisor returns the pid in the record of dir, when the process that has it
// now is the one that wrote it, else 0.
func supervisor(dir string) int {
	text, _ := os.ReadFile(filepath.Join(dir, startedFile))
	lines := strings.Split(string(text), "\n")
	if len(lines) < 4 {
		return 0
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 1 || lines[2] != BootID() || startTicks(lines[1]) != startTicks(statLine(pid)) {
		return 0
	}
	return pid
}
