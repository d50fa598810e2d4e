// Package jobdir starts a process at most once and finds it again from any
// other process, with a folder as the only memory.
//
// The supervisor is a POSIX shell with a few lines of script, wrapper.sh: a
// program of ours for each job would cost ten times as much, and the same lines
// can serve on a machine where amlflow is not installed. The folder holds:
//
//	lock        locked (flock) by whoever starts the process, then by the wrapper as long as it lives
//	starting    durable before anything starts; holds the boot id of the machine
//	wrapper.sh  the supervisor
//	process.sh  what it runs: limits, working directory, environment, command
//	secrets     variables whose values must not be kept; process.sh reads and removes it before it runs anything
//	started     the wrapper's pid, its line in /proc/PID/stat, the boot id; there before the process is
//	log         standard output and standard error of the process
//	stop        who asked it to end, why, when, and with what grace; durable before the signal
//	unstarted   the command could not be executed
//	exit        the exit status as the shell shows it, and a newline
//	end         the verdict of the first reader after the end; it never changes
//
// What the files say together:
//
//	end                             ended or lost, as it says
//	exit                            ended
//	lock held, starting             running
//	lock free, starting, no exit    lost (or ended, when it was asked to stop)
//	lock free, no starting          safe to start
//	lock free, no started           safe to start, too, until the machine was restarted or a reader called it lost
package jobdir

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The files of a process folder.
const (
	lockFile      = "lock"
	startingFile  = "starting"
	wrapperFile   = "wrapper.sh"
	processFile   = "process.sh"
	secretsFile   = "secrets"
	startedFile   = "started"
	logFile       = "log"
	stopFile      = "stop"
	unstartedFile = "unstarted"
	unlimitedFile = "unlimited"
	limitsFile    = "limits"
	exitFile      = "exit"
	endFile       = "end"
	errorFile     = "wrapper.err"
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
// started again. The wrapper writes its record before it runs anything: a mark of
// this boot without that record is of a starter that died before there was a
// wrapper, or whose wrapper is about to write.
func Started(dir string) bool {
	boot, err := os.ReadFile(filepath.Join(dir, startingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || strings.TrimSpace(string(boot)) != BootID() || exists(dir, startedFile) || exists(dir, exitFile)
}

// Start runs p in the folder dir, an absolute path, unless the folder has run a
// process before or was stopped. It returns nil once it is certain that the
// process was started, here or elsewhere; it does not wait for it to end.
func Start(ctx context.Context, dir string, p Process) error {
	if Started(dir) {
		return nil
	}
	if err := p.check(); err != nil {
		return err
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the process folder %q must be an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Whoever holds the lock may yet die before the start is certain.
	lock, err := acquire(ctx, dir, func() bool { return Started(dir) })
	if lock == nil {
		return err
	}
	defer lock.Close()
	return launch(dir, p, lock)
}

// Lock waits until no one else holds the lock of the folder dir and takes it.
// Closing the file gives it back, and so does the end of this process.
func Lock(ctx context.Context, dir string) (*os.File, error) {
	return acquire(ctx, dir, func() bool { return false })
}

// acquire is Lock, but it gives up, with no file, when enough says so.
func acquire(ctx context.Context, dir string, enough func() bool) (*os.File, error) {
	for {
		f, err := TryLock(filepath.Join(dir, lockFile), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		if enough() {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// launch starts the wrapper. The caller holds the lock.
func launch(dir string, p Process, lock *os.File) (err error) {
	if Started(dir) || exists(dir, stopFile) || exists(dir, endFile) {
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dropSecrets(dir))
		}
	}()
	if err := prepare(dir, p); err != nil {
		return err
	}
	step("prepared")
	if err := WriteDurable(dir, startingFile, []byte(BootID()+"\n")); err != nil {
		return err
	}
	step("marked")
	if err := spawn(dir, lock); err != nil {
		// Nothing runs, and the lock is ours: it is safe to start again.
		return errors.Join(err, os.Remove(filepath.Join(dir, startingFile)), syncDir(dir))
	}
	step("spawned")
	return nil
}

func prepare(dir string, p Process) error {
	limits := limit(dir, p)
	if err := writeJSON(dir, limitsFile, limits); err != nil {
		return err
	}
	log, err := os.OpenFile(Log(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(log.Close(),
		os.WriteFile(filepath.Join(dir, wrapperFile), wrapper, 0o600),
		os.WriteFile(filepath.Join(dir, processFile), p.script(dir, limits.Groups), 0o600),
		p.leaveSecrets(dir))
}

// spawn starts the wrapper with a small environment of its own, so that nothing
// the job was given (PATH, LD_PRELOAD, IFS…) can change what the wrapper does.
func spawn(dir string, lock *os.File) error {
	stderr, err := os.OpenFile(filepath.Join(dir, errorFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer stderr.Close()
	c := exec.Command("/bin/sh", wrapperFile)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", Mark + "=" + dir}
	c.Stderr = stderr
	c.ExtraFiles = []*os.File{lock} // descriptor 3
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the supervisor in %q: %w", dir, err)
	}
	go func() { _ = c.Wait() }() // only to reap it; it belongs to the folder, not to us
	return nil
}

// TryLock opens and locks the file at path, and fails with EWOULDBLOCK when another
// holds it in a way that excludes how (syscall.LOCK_EX or LOCK_SH). The kernel frees
// the lock of a process that dies.
func TryLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
