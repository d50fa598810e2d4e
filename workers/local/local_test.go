package local

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

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
					g := &gateways{}
					t.Cleanup(g.kill)
					h.Driver, h.KillServing = Driver{Dir: dir, StartGateway: g.start}, func(*testing.T) { g.kill() }
				}
				return h
			})
		})
	}
}
