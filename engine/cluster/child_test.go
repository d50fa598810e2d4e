//go:build !slim

package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// child is a process of its own that runs an embedded server.
type child struct {
	*exec.Cmd
	address Address
	out     *bufio.Reader
	errors  bytes.Buffer
}

// spawn starts one without waiting for its server.
func spawn(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), childDir+"="+dir)
	c.Stderr = &c.errors
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.StdinPipe(); err != nil { // held open: its end is the child's
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill(t) })
	c.out = bufio.NewReader(out)
	return c
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := spawn(t, dir)
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the child said %q instead of its address", c.errors.String())
	}
	if err := json.Unmarshal(line, &c.address); err != nil {
		t.Fatal(err)
	}
	return c
}

// kill is kill -9, and waits; what the child printed besides its address is returned.
func (c *child) kill(t *testing.T) (printed string) {
	t.Helper()
	if c.ProcessState != nil {
		return ""
	}
	_ = c.Process.Kill()
	rest, _ := io.ReadAll(c.out)
	_ = c.Wait() // its status is that it was killed
	return string(rest) + c.errors.String()
}
