package ssh

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
const gatewayDir = "SSH_TEST_GATEWAY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(gatewayDir); dir != "" {
		if err := gateway.Main(context.Background(), dir, gateway.Hosts{"ssh": New()}, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// gateways are the processes that were started to be one.
type gateways struct {
	gateway.Folder
	*rigs.Again
}

// startGateways returns a folder whose gateways end with the test.
func startGateways(t *testing.T) *gateways {
	t.Helper()
	at := t.TempDir()
	a := &rigs.Again{Variable: gatewayDir, Log: filepath.Join(at, "gateway.log")}
	t.Cleanup(func() {
		if a.Kill(); t.Failed() {
			t.Logf("log of the gateways:\n%s", a.Said())
		}
	})
	return &gateways{gateway.Folder{Dir: filepath.Join(at, "gateway"), Start: a.Start}, a}
}
