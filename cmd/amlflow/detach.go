package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/amlflow/amlflow/engine/server"
	"github.com/amlflow/amlflow/workers/tracking"
)

// maxLog is the size from which a log file makes room for a new one.
const maxLog = 10 << 20

// detach starts this program again as a process that outlives everything here:
// a session of its own, nothing to read, and its words in a log file.
func (p *program) detach(log string, args ...string) error {
	_, err := p.detachWith(nil, log, args...)
	return err
}

// detachWith is detach, and gives the process open files, which it finds from 3 on. The
// channel is closed when it has ended, while this command lives.
func (p *program) detachWith(files []*os.File, log string, args ...string) (<-chan struct{}, error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(log); err == nil && info.Size() > maxLog {
		_ = os.Rename(log, log+".old")
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := exec.Command(exe, args...)
	c.Args[0] = "amlflow"
	c.Dir = p.home // so that it keeps no other folder from being removed
	c.Env = append(os.Environ(), "AMLFLOW_HOME="+p.home)
	c.Stdout, c.Stderr = f, f
	c.ExtraFiles = files
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start %q in the background: %w", args[0], err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Wait() // also so that no zombie stays while this command lives
	}()
	return ended, nil
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

// startTracking starts the process that answers jobs which log, at a socket that is open.
func (p *program) startTracking(dir string, socket, lock *os.File) (<-chan struct{}, error) {
	return p.detachWith([]*os.File{socket, lock}, tracking.LogFile(dir), "tracking", dir)
}

// startSecond starts another one, which takes its place when it is killed.
func (p *program) startSecond(dir string, socket, lock *os.File) (<-chan struct{}, error) {
	return p.detachWith([]*os.File{socket, lock}, tracking.LogFile(dir), "tracking", dir, "--stand-by")
}
