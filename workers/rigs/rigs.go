// Package rigs starts real places to run jobs on, for tests: container engines with
// images that are made of this computer's own programs, an SSH server, a Slurm. Each
// lives in a folder of its own, touches nothing of what the machine has of its kind, and
// ends with the test or the program that started it.
//
// What a rig needs and the machine lacks is an ErrMissing, which says how to install it.
package rigs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// ErrMissing is why a rig cannot be had on this machine.
var ErrMissing = errors.New("a test has not what it needs")

// need looks for programs, also those of daemons.
func need(install string, programs ...string) error {
	for _, name := range programs {
		if Program(name) == "" {
			return fmt.Errorf("%w: there is no %s: %s", ErrMissing, name, install)
		}
	}
	return nil
}

// Program finds a program, also a daemon's; empty: there is none.
func Program(name string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return p
		}
	}
	return ""
}

// end asks a daemon to end, and does not ask for ever.
func end(c *exec.Cmd) {
	_ = c.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	late.Stop()
}

// Awaits waits until something is so, and reports whether it came so within a minute.
func Awaits(so func() bool) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

// FreePorts are ports of this computer that nobody listens on.
func FreePorts(n int) ([]string, error) {
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // once all are known, so that they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		all = append(all, port)
	}
	return all, nil
}
