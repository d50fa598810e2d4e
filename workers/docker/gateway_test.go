package docker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/workers/gateway"
)

// gatewayDir makes the test binary be a gateway: a process that can be killed.
const gatewayDir = "DOCKER_TEST_GATEWAY"

// beGateway is the gateway of a folder that is in the one of the driver.
func beGateway(dir string) int {
	hosts := gateway.Hosts{"docker": Driver{Dir: filepath.Dir(dir)}}
	if err := gateway.Main(context.Background(), dir, hosts, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// gateways are the processes that were started to be one.
type gateways struct {
	gateway.Folder
	mu      sync.Mutex
	started []*exec.Cmd
}

// startGateways returns a folder below dir whose gateways end with the test.
func startGateways(t *testing.T, dir string) *gateways {
	t.Helper()
	g := &gateways{}
	g.Folder = gateway.Folder{Dir: filepath.Join(dir, "gateway"), Start: g.start}
	t.Cleanup(func() {
		g.kill()
		if log, err := os.ReadFile(g.log()); err == nil && t.Failed() {
			t.Logf("log of the gateways:\n%s", log)
		}
	})
	return g
}

func (g *gateways) log() string { return filepath.Join(g.Dir, "..", "gateway.log") }

func (g *gateways) start(dir string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	log, err := os.OpenFile(g.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), gatewayDir+"="+dir)
	c.Stdout, c.Stderr = log, log
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
