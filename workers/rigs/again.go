package rigs

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Again starts the test binary once more, as processes that do something else there and
// can be killed: TestMain looks for the variable.
type Again struct {
	Variable string // is set to the folder that a process is for
	Log      string // the file that gets what they print; empty: nobody does

	mu      sync.Mutex
	started []*exec.Cmd
}

// Start starts a process for a folder, in a session of its own.
func (a *Again) Start(dir string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), a.Variable+"="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.Log != "" {
		log, err := os.OpenFile(a.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer log.Close()
		c.Stdout, c.Stderr = log, log
	}
	if err := c.Start(); err != nil {
		return err
	}
	a.started = append(a.started, c)
	return nil
}

// Kill ends all of them at once, and waits until they are gone.
func (a *Again) Kill() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.started {
		_ = c.Process.Signal(syscall.SIGKILL)
		_ = c.Wait()
	}
	a.started = nil
}

// Said is what they have printed.
func (a *Again) Said() string {
	text, _ := os.ReadFile(a.Log)
	return string(text)
}
