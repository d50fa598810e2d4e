package local

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/amlflow/amlflow/workers/rigs"
	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// gatewayDir makes the test binary be a gateway: a process that can be killed.
const gatewayDir = "LOCAL_TEST_GATEWAY"

func host() map[string]string {
	return map[string]string{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")}
}

func local(settings string) target.Target {
	t := target.Target{Name: "here", Kind: "local"}
	if settings != "" {
		t.Settings = json.RawMessage(settings)
	}
	return t
}

func TestExam(t *testing.T) {
	for name, settings := range map[string]string{"plain": "", "two nodes": `{"nodes": 2}`, "a short log": `{"log": "1Mi"}`} {
		t.Run(name, func(t *testing.T) {
			targettest.Run(t, func(t *testing.T) targettest.Harness {
				dir := t.TempDir()
				h := targettest.Harness{Driver: Driver{Dir: dir}, Target: local(settings), Host: host(), Shared: t.TempDir(), Folder: dir, Local: true, Skip: withoutVenv()}
				if name == "plain" {
					g := &rigs.Again{Variable: gatewayDir}
					t.Cleanup(g.Kill)
					h.Driver, h.KillServing = Driver{Dir: dir, StartGateway: g.Start}, func(*testing.T) { g.Kill() }
				}
				return h
			})
		})
	}
}
