package jobdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
// and so is all that an ended one left behind. An end that was reported never
// changes, unless the machine goes down before Settle has made it durable.
func Look(dir string) (View, error) {
	l, err := readLife(dir)
	if err != nil || l.end != nil || l.exited {
		return l.ended(dir, err)
	}
	lock, held, err := keepFree(dir)
	if err != nil {
		return View{}, err
	}
	if held {
		return lookRunning(dir)
	}
	defer lock.Close()
	// The supervisor writes the exit status before its lock becomes free, so only
	// now does the absence of it mean anything.
	l, err = readLife(dir)
	if err != nil || l.end != nil || l.exited {
		return l.ended(dir, err)
	}
	return l.lookFree(dir, lock != nil)
}

// ended is the view of a process that has exited or of which there is a verdict.
func (l life) ended(dir string, err error) (View, error) {
	if err != nil {
		return View{}, err
	}
	if l.end != nil {
		return *l.end, nil
	}
	v := View{Phase: Ended, Status: l.status, Start: startTime(dir), End: l.last}
	s, stopped, err := readStop(dir)
	if err != nil {
		return v, err
	}
	if stopped && !v.End.Before(s.At) {
		v.Stopped = s.Cause
	}
	return l.judge(dir, v)
}

func lookRunning(dir string) (View, error) {
	l, err := readLife(dir)
	if err != nil || !l.starting {
		return View{Phase: New}, err
	}
	v := View{Phase: Running, Start: startTime(dir), Notes: notes(dir), PID: l.supervisor(dir)}
	s, stopped, err := readStop(dir)
	if stopped && time.Since(s.At) > s.Grace {
		killAll(dir)
	}
	return v, err
}

// lookFree looks at a folder without a supervisor and without an exit status.
// Without a lock nothing was started when we looked for one.
func (l life) lookFree(dir string, locked bool) (View, error) {
	s, stopped, err := readStop(dir)
	if err != nil {
		return View{Phase: New}, err
	}
	switch marked := locked && (l.starting || l.torn); {
	case !marked && !stopped:
		return View{Phase: New}, nil
	case !marked:
		return l.judge(dir, View{Phase: Ended, Stopped: s.Cause, Status: 128 + int(syscall.SIGTERM), End: s.At})
	}
	v := View{Start: startTime(dir), End: time.Now()}
	switch {
	case stopped:
		v.Phase, v.Stopped, v.Status = Ended, s.Cause, 128+int(syscall.SIGKILL)
	case l.torn || l.boot != BootID():
		v.Phase, v.Reason = Lost, "the machine was restarted while it ran"
	default:
		v.Phase, v.Reason = Lost, "its supervisor ended without a record of its exit"
	}
	return l.judge(dir, v)
}

// judge kills what is left of the process and writes the verdict v, unless
// another reader was first.
func (l life) judge(dir string, v View) (View, error) {
	if left := killAll(dir); left > 0 {
		return View{Phase: Running, Start: v.Start, Notes: notes(dir)}, nil
	}
	bounds := readLimits(dir)
	v.Unstarted = exists(dir, unstartedFile)
	v.OOM = bounds.oomKills() > 0
	v.Notes = notes(dir)
	// A supervisor that was stopped, or killed, before it ran anything left them.
	if err := dropSecrets(dir); err != nil {
		return View{}, fmt.Errorf("remove its secrets: %w", err)
	}
	v, err := l.conclude(dir, v)
	if err != nil {
		return View{}, fmt.Errorf("record the end: %w", err)
	}
	bounds.remove()
	return v, nil
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
	lock, err = tryLock(filepath.Join(dir, lifeFile), os.O_RDONLY, syscall.LOCK_SH)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, true, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
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

// startTime tells when the process of dir was about to start: what it runs is
// written just before.
func startTime(dir string) time.Time {
	info, err := os.Stat(filepath.Join(dir, processFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// supervisor returns the pid of the supervisor of dir, when the process that has it
// now is the one that wrote the line, else 0.
func (l life) supervisor(dir string) int {
	if l.boot != BootID() || l.pid <= 1 || !carries(l.pid, dir) {
		return 0
	}
	return l.pid
}
