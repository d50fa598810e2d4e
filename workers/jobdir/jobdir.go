// Package jobdir starts a process at most once and finds it again from any
// other process, with a folder as the only memory.
//
// The supervisor is a POSIX shell with a few lines of script, wrapper.sh: a
// program of ours for each job would cost ten times as much, and the same lines
// can serve on a machine where amlflow is not installed. The folder holds:
//
//	life        what happened, a line for each thing; locked (flock) by whoever starts the process, then by the
//	            supervisor as long as it lives
//	process.sh  the supervisor, and what it runs: limits, working directory, environment, command
//	secrets     variables whose values must not be kept; process.sh reads and removes it before it runs anything
//	log         standard output and standard error of the process
//	stop        who asked it to end, why, when, and with what grace; durable before the signal
//	limits      the control groups of the process, and what cannot be bounded here
//	unstarted   the command could not be executed
//
// and the lines of life are, in this order:
//
//	starting BOOT  durable before anything starts; the boot id of the machine
//	started PID    of the supervisor; there before the process is
//	exit N         the exit status as the shell shows it
//	end JSON       the verdict of the first reader after the end; it never changes
//
// What they say together:
//
//	end                         ended or lost, as it says
//	exit                        ended
//	lock held, starting         running
//	lock free, starting         lost (or ended, when it was asked to stop)
//	no starting                 safe to start
//	starting, but no started    safe to start, too, until the machine was restarted or a reader called it lost
//
// The law of the disk: kill -9 of any process needs no fsync, since the kernel
// keeps what was written; only the machine forgets. So starting and stop are
// durable before anything is done about them, and end once Settle has returned,
// which must be before anyone acts on it for good. All else may be missing or torn
// after the machine went down; what is torn counts as started.
package jobdir

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// The files of a process folder.
const (
	lifeFile      = "life"
	processFile   = "process.sh"
	secretsFile   = "secrets"
	logFile       = "log"
	stopFile      = "stop"
	unstartedFile = "unstarted"
	unlimitedFile = "unlimited"
	limitsFile    = "limits"
)

// Mark is the environment variable that every process of a folder inherits; its
// value is the folder's path. Those that left their group are found by it.
const Mark = "AMLFLOW_PROCESS"

//go:embed wrapper.sh
var wrapper []byte

// step is called between the steps of Start, so that tests can die there.
var step = func(name string) {}

// Process says what to run.
type Process struct {
	Argv []string // executed as it is; Argv[0] is looked up in the PATH of Env
	Env  []string // NAME=value, all that the process sees beside Mark and Secrets
	// Secrets are variables, NAME=value, that leave no trace in the folder once the
	// process has started, will not be started, or has ended.
	Secrets []string
	Work    string  // the working directory, absolute
	Memory  int64   // bytes that the process and its children may use; 0: any
	CPUs    float64 // cores that they may use; 0: any
}

// Log returns the path of the file that holds what the process of dir writes to
// standard output and standard error.
func Log(dir string) string { return filepath.Join(dir, logFile) }

// Started reports whether the process of dir may have run, so that it is never
// started again.
func Started(dir string) bool {
	l, err := readLife(dir)
	return err != nil || l.mayHaveRun()
}

// Start runs p in the folder dir, an absolute path, unless the folder has run a
// process before or was stopped. It returns nil once it is certain that the
// process was started, here or elsewhere; it does not wait for it to end.
func Start(ctx context.Context, dir string, p Process) error {
	if Started(dir) {
		return nil
	}
	if err := p.Check(); err != nil {
		return err
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the process folder %q must be an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Whoever holds the lock may yet die before the start is certain.
	lock, err := acquire(ctx, filepath.Join(dir, lifeFile), os.O_APPEND, func() bool { return Started(dir) })
	if lock == nil {
		return err
	}
	defer lock.Close()
	return launch(dir, p, lock)
}

// launch starts the supervisor. The caller holds the lock.
func launch(dir string, p Process, lock *os.File) (err error) {
	l, err := readLife(dir)
	if err != nil || l.mayHaveRun() || l.end != nil || exists(dir, stopFile) {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dropSecrets(dir))
		}
	}()
	log, err := prepare(dir, p)
	if err != nil {
		return err
	}
	defer log.Close()
	step("prepared")
	if err := l.mark(dir, lock); err != nil {
		return err
	}
	step("marked")
	if err := spawn(dir, log, lock); err != nil {
		// Nothing runs, and the lock is ours: it is safe to start again.
		return errors.Join(err, unmark(lock))
	}
	step("spawned")
	return nil
}

// prepare writes what the supervisor reads, and opens the log for it.
func prepare(dir string, p Process) (*os.File, error) {
	limits := limit(dir, p)
	if err := limits.write(dir); err != nil {
		return nil, err
	}
	script := append(p.script(dir, limits.Groups), wrapper...)
	if err := os.WriteFile(filepath.Join(dir, processFile), script, 0o600); err != nil {
		return nil, err
	}
	if err := p.leaveSecrets(dir); err != nil {
		return nil, err
	}
	return os.OpenFile(Log(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// spawn starts the supervisor with a small environment of its own, so that nothing
// the job was given (PATH, LD_PRELOAD, IFS…) can change what it does.
func spawn(dir string, log, lock *os.File) error {
	c := exec.Command("/bin/sh", processFile)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", Mark + "=" + dir}
	c.Stdout = log
	c.ExtraFiles = []*os.File{lock} // descriptor 3
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the supervisor in %q: %w", dir, err)
	}
	watch(dir, c.Wait)
	return nil
}
