//go:build !slim

package cluster

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"
)

// childDir makes the test binary a child process that runs an embedded server in this folder until it is killed.
const childDir = "AMLFLOW_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		serveUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) {
	e, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error())
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(e.Address())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent, should that die first
	os.Exit(0)
}

// testContext ends long before the test binary's own limit, so that a hang is reported where it is.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// testLogger shows the server's warnings with the test that they belong to.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func startServer(t testing.TB, dir string) *Embedded {
	t.Helper()
	e, err := Start(testContext(t), Options{Dir: dir, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}
