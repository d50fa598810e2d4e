//go:build !slim

package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

func newServerLog(out *bytes.Buffer) (*serverLog, <-chan error) {
	e := &Embedded{database: database{path: "/state/engine.db"}, failed: make(chan error, 1)}
	return e.serverLog(slog.New(slog.NewTextHandler(out, nil))), e.Failed()
}

func TestServerLogPassesWarningsOnly(t *testing.T) {
	var out bytes.Buffer
	l, _ := newServerLog(&out)
	with := log.With(l, tag.NewStringTag("service", "history"))
	with.Debug("debug")
	with.Info("info")
	with.Warn("network dial error")
	with.Warn("slow", tag.NewInt("ms", 7), tag.SysStackTrace("pages"))
	with.Error("broken", tag.Error(errors.New("database or disk is full (13)")))
	got := out.String()
	for _, never := range []string{"debug", "info", "dial", "pages"} {
		if strings.Contains(strings.ToLower(strings.ReplaceAll(got, "level=", "")), "msg="+never) || strings.Contains(got, "pages") {
			t.Errorf("%q was passed on in %s", never, got)
		}
	}
	for _, want := range []string{"level=WARN msg=slow service=history ms=7", "level=ERROR msg=broken", "free some space"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestFatalEndsInFailed(t *testing.T) {
	l, failed := newServerLog(&bytes.Buffer{})
	cause := errors.New("no more")
	went := make(chan bool, 1)
	go func() {
		defer func() { went <- false }()
		l.Fatal("Failed to serve", tag.Error(cause))
		went <- true
	}()
	if <-went {
		t.Error("fatal returned to its caller")
	}
	if err := <-failed; !errors.Is(err, cause) {
		t.Errorf("failed with %v", err)
	}
}

func TestDamageWhileRunningEndsInFailed(t *testing.T) {
	l, failed := newServerLog(&bytes.Buffer{})
	l.Error("Operation failed", tag.Error(errors.New("database disk image is malformed (11)")))
	select {
	case err := <-failed:
		if !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), "/state/engine.db") {
			t.Errorf("failed with %v", err)
		}
	default:
		t.Error("nothing failed")
	}
}
