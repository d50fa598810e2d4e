package pyenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/amlflow/amlflow/workers/jobdir"
	"github.com/amlflow/amlflow/workers/target"
)

// The files of an environment; see the package's doc.
const (
	venvDir  = "venv"
	workDir  = "work"
	tmpDir   = "tmp"
	listFile = "requirements.txt"
	logFile  = "log"
	madeFile = "made.json"
	sadFile  = "failed"
	lockFile = "lock"
	pidFile  = "group"
)

// maker makes one environment.
type maker struct {
	dir    string
	python Interpreter
	lines  []string
	env    []string
	what   string // for people
}

// made is the content of made.json.
type made struct {
	Python    Interpreter `json:"python"`
	Lines     []string    `json:"requirements"`
	Installed []string    `json:"installed"` // name==version, as pip freeze says it
	At        time.Time   `json:"at"`
}

func (m *maker) venv() string { return m.path(venvDir) }

func (m *maker) path(parts ...string) string {
	return filepath.Join(append([]string{m.dir}, parts...)...)
}

// ready reports whether the environment is complete, and its Python still there.
func (m *maker) ready() bool {
	if _, err := os.Stat(m.path(madeFile)); err != nil {
		return false
	}
	_, err := os.Stat(m.path(venvDir, "bin", "python"))
	return err == nil
}

// make makes the environment unless somebody else did while it waited.
func (m *maker) make(ctx context.Context) error {
	since := time.Now()
	if err := os.MkdirAll(m.path(workDir), 0o700); err != nil {
		return fmt.Errorf("make the folder of the Python environment: %w", err)
	}
	step("waiting")
	lock, err := lockWhenFree(ctx, m.path(lockFile))
	if err != nil {
		return fmt.Errorf("wait for the Python environment (%s), which is being made: %w", m.what, err)
	}
	defer lock.Close()
	if err := m.takeBack(); err != nil {
		return fmt.Errorf("take back the Python environment (%s): %w", m.what, err)
	}
	if m.take() {
		return nil
	}
	if why := m.failedSince(since); why != nil {
		return why
	}
	return m.makeAlone(ctx)
}

// failedSince returns why a try was in vain that ended after t: whoever waited for
// it would see nothing else.
func (m *maker) failedSince(t time.Time) error {
	info, err := os.Stat(m.path(sadFile))
	if err != nil || info.ModTime().Before(t) {
		return nil
	}
	text, err := os.ReadFile(m.path(sadFile))
	if err != nil || len(text) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", text, target.ErrPermanent)
}

// makeAlone makes the environment. The caller holds the lock.
func (m *maker) makeAlone(ctx context.Context) error {
	work, err := m.takeOver(ctx)
	if err != nil {
		return fmt.Errorf("end what is left of a try to make the Python environment (%s): %w", m.what, err)
	}
	defer work.Close()
	if err := m.clear(); err != nil {
		return fmt.Errorf("clear the folder of the Python environment: %w", err)
	}
	step("cleared")
	if err := m.build(ctx, work); err != nil {
		return m.giveUp(ctx, err)
	}
	return m.finish(ctx, work)
}

// takeOver ends the processes of a maker that was killed, and returns the lock that
// ours will hold. The number in pidFile is that of a living group whenever the
// lock is held: its leader wrote it, and is what holds the lock.
func (m *maker) takeOver(ctx context.Context) (*os.File, error) {
	for {
		lock, err := jobdir.TryLock(m.path(workDir, lockFile), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		text, _ := os.ReadFile(m.path(workDir, pidFile))
		var group int
		if n, _ := fmt.Sscanf(string(text), "%d\n", &group); n == 1 && group > 1 && strings.HasSuffix(string(text), "\n") {
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// clear removes what an earlier try has left. The caller holds both locks.
func (m *maker) clear() error {
	for _, name := range []string{madeFile, asideFile, sadFile, logFile, filepath.Join(workDir, pidFile)} {
		if err := os.Remove(m.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range []string{m.venv(), m.path(workDir, tmpDir)} {
		if err := jobdir.RemoveTree(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(m.path(workDir, tmpDir), 0o700); err != nil {
		return err
	}
	list := "# -*- coding: utf-8 -*-\n"
	for _, l := range m.lines {
		list += l + "\n"
	}
	return os.WriteFile(m.path(listFile), []byte(list), 0o600)
}

// build runs the standard tools.
func (m *maker) build(ctx context.Context, work *os.File) error {
	if err := m.run(ctx, work, nil, m.python.Path, "-I", "-m", "venv", m.venv()); err != nil {
		return err
	}
	step("venv")
	if len(m.lines) == 0 {
		return nil
	}
	err := m.run(ctx, work, nil, m.pip("install", "--requirement", m.path(listFile))...)
	step("installed")
	return err
}

func (m *maker) pip(args ...string) []string {
	return append([]string{m.path(venvDir, "bin", "python"), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"}, args...)
}

// run runs a program in a group of its own, of which nothing is left when ctx
// ends. Where this process is killed instead, the lock tells of what goes on.
func (m *maker) run(ctx context.Context, work *os.File, out io.Writer, argv ...string) error {
	log, err := os.OpenFile(m.path(logFile), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `echo $$ >` + pidFile + ` && exec "$@"`, "sh"}, argv...)...)
	c.Dir = m.path(workDir)
	c.Env = append(append([]string{}, m.env...), "TMPDIR="+m.path(workDir, tmpDir))
	c.Stdout, c.Stderr = log, log // a file and no pipe: it does not break when we are killed
	if out != nil {
		c.Stdout = out
	}
	c.ExtraFiles = []*os.File{work}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &failure{argv: argv, how: err.Error(), said: tail(log, from)}
	}
	return nil
}

// tail returns the end of what a file holds from an offset on.
func tail(f *os.File, from int64) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, min(info.Size()-from, 256<<10))
	n, _ := f.ReadAt(text, info.Size()-int64(len(text)))
	return strings.ToValidUTF8(string(text[:n]), "\uFFFD")
}

// giveUp says why the environment could not be made, to the caller and to those
// who wait. The log stays.
func (m *maker) giveUp(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("make the Python environment (%s): %w", m.what, context.Cause(ctx))
	}
	reason, mayPass := m.explain(err)
	errs := []error{jobdir.RemoveTree(m.venv()), jobdir.RemoveTree(m.path(workDir, tmpDir))}
	if mayPass {
		return errors.Join(append([]error{errors.New(reason)}, errs...)...)
	}
	errs = append(errs, os.WriteFile(m.path(sadFile), []byte(reason), 0o600))
	return errors.Join(append([]error{fmt.Errorf("%s: %w", reason, target.ErrPermanent)}, errs...)...)
}

// finish writes down that the environment is complete, once that is so on the disk.
func (m *maker) finish(ctx context.Context, work *os.File) error {
	var frozen strings.Builder
	if err := m.run(ctx, work, &frozen, m.pip("freeze")...); err != nil {
		return m.giveUp(ctx, err)
	}
	text, err := json.MarshalIndent(made{Python: m.python, Lines: m.lines, Installed: strings.Fields(frozen.String()), At: time.Now().UTC()}, "", " ")
	if err != nil {
		return err
	}
	if err := jobdir.RemoveTree(m.path(workDir, tmpDir)); err != nil {
		return fmt.Errorf("clear the folder of the Python environment: %w", err)
	}
	syscall.Sync() // thousands of files: one by one would take longer than the rest
	step("synced")
	if err := jobdir.WriteDurable(m.dir, madeFile, append(text, '\n')); err != nil {
		return fmt.Errorf("write down that the Python environment is made: %w", err)
	}
	return nil
}
