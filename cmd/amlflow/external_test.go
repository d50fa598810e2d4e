//go:build linux && !slim

package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/amlflow/amlflow/engine/cluster"
)

func serverName(a cluster.Address) string {
	if a.TLS.ServerName == "" {
		return ""
	}
	return `, server_name: "` + a.TLS.ServerName + `"`
}

// TestExternalEngine uses a Temporal server in this process as one elsewhere,
// with mutual TLS from files.
func TestExternalEngine(t *testing.T) {
	server, err := cluster.Start(context.Background(), cluster.Options{Dir: filepath.Join(t.TempDir(), "temporal"), Namespace: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	at, work, home := server.Address(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	endAll(t, home)
	write(t, work, "ca.pem", at.TLS.CA)
	write(t, work, "cert.pem", at.TLS.Cert)
	write(t, work, "key.pem", at.TLS.Key)
	write(t, work, "amlflow.yaml", `amlflow: v1
workspace: theirs
engine:
  address: "`+at.HostPort+`"
  namespace: theirs
  tls: { ca: ca.pem, cert: cert.pem, key: key.pem`+serverName(at)+` }
`)
	write(t, work, "p.pipeline.yaml", "amlflow: v1\npipeline: p\nstages:\n  one: { run: echo one }\n")
	env := []string{"AMLFLOW_HOME=" + home, "AMLFLOW_IDLE=30s"}
	code, out, _ := amlflow(t, work, env, "run", "p.pipeline.yaml", "-o", "json")
	var got struct{ Status string }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK || got.Status != "succeeded" {
		t.Errorf("exit code %d, status %q, %v", code, got.Status, err)
	}
	// By variables from another folder: the same runs. A wrong namespace is said.
	env = append(env, "AMLFLOW_ADDRESS="+at.HostPort, "AMLFLOW_TLS_SERVER_NAME="+at.TLS.ServerName,
		"AMLFLOW_TLS_CA="+filepath.Join(work, "ca.pem"), "AMLFLOW_TLS_CERT="+filepath.Join(work, "cert.pem"), "AMLFLOW_TLS_KEY="+filepath.Join(work, "key.pem"))
	if code, out, _ = amlflow(t, t.TempDir(), env, "ps", "-o", "name", "--namespace", "theirs"); code != exitOK || len(out) != len("abcdefgh\n") {
		t.Errorf("exit code %d, runs %q", code, out)
	}
	if code, _, _ = amlflow(t, t.TempDir(), env, "ps", "--namespace", "nobodys"); code != exitUnreachable && code != exitNotFound {
		t.Errorf("exit code %d for a namespace that is not there", code)
	}
}
