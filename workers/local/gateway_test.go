package local

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// gatewayDir makes the test binary be a gateway.
const gatewayDir = "LOCAL_TEST_GATEWAY"

// gateways are the processes that were started to be one.
type gateways struct {
	mu      sync.Mutex
	started []*exec.Cmd
}

func (g *gateways) start(dir string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), gatewayDir+"="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	g.started = append(g.started, c)
	return nil
}

// kill ends all of them at once, and waits until they are gone.
func (g *gateways) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.started {
		_ = c.Process.Signal(syscall.SIGKILL)
		_ = c.Wait()
	}
	g.started = nil
}
