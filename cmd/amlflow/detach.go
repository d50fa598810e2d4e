package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/amlflow/amlflow/engine/server"
)

// maxLog is the size from which a log file makes room for a new one.
const maxLog = 10 << 20

// detach starts this program again as a process that outlives everything here:
// a session of its own, nothing to read, and its words in a log file.
func (p *program) detach(log string, args ...string) error {
	exe, err := executable()
	if err != nil {
		return err
	}
	if info, err := os.Stat(log); err == nil && info.Size() > maxLog {
		_ = os.Rename(log, log+".old")
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	c := exec.Command(exe, args...)
	c.Args[0] = "amlflow"
	c.Dir = p.home // so that it keeps no other folder from being removed
	c.Env = append(os.Environ(), "AMLFLOW_HOME="+p.home)
	c.Stdout, c.Stderr = f, f
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %q in the background: %w", args[0], err)
	}
	go c.Wait() //nolint:errcheck // only so that no zombie stays while this command lives
	return nil
}

// startServer starts the background server of a seat.
func (p *program) startServer(s server.Seat) error {
	args := []string{"server", "run"}
	if s.External != nil {
		args = append(args, "--address-file", s.AddressFile())
	}
	return p.detach(s.LogFile(), args...)
}

// startGateway starts the process that answers for the endpoints in dir.
func (p *program) startGateway(dir string) error {
	return p.detach(filepath.Join(dir, "gateway.log"), "gateway", dir)
}
