package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/workers/gateway"
	"github.com/amlflow/amlflow/workers/rigs"
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
	*rigs.Again
}

// startGateways returns a folder below dir whose gateways end with the test.
func startGateways(t *testing.T, dir string) *gateways {
	t.Helper()
	a := &rigs.Again{Variable: gatewayDir, Log: filepath.Join(dir, "gateway.log")}
	t.Cleanup(func() {
		if a.Kill(); t.Failed() {
			t.Logf("log of the gateways:\n%s", a.Said())
		}
	})
	return &gateways{gateway.Folder{Dir: filepath.Join(dir, "gateway"), Start: a.Start}, a}
}
