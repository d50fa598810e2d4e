//go:build !slim

package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
)

// lines keeps what is logged, from any goroutine.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) have(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.all.String(), text)
}

func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no small disk to fill: mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill takes all space, to the last byte.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return path
		}
	}
}

func TestRunsGoOnWhenTheDiskHasSpaceAgain(t *testing.T) {
	dir, log := smallDisk(t), &lines{}
	e, err := Start(testContext(t), Options{Dir: filepath.Join(dir, "state"), Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	c := dialled(t, e.Address())
	work(t, c, registerAll)
	ctx := testContext(t)
	run := begin(t, c, client.StartWorkflowOptions{}, counter)

	ballast := fill(t, dir)
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for err = nil; err == nil; { // what the write-ahead log has room for is still taken
		_, err = c.ExecuteWorkflow(short, client.StartWorkflowOptions{TaskQueue: "nobody"}, counter)
	}
	await(t, "the hint", func() bool { return log.have("is full: free some space") })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := c.SignalWorkflow(ctx, run.GetID(), "", "end", nil); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(ctx, nil); err != nil {
		t.Error(err)
	}
}

func TestStartOnAFullDiskSaysSo(t *testing.T) {
	dir := smallDisk(t)
	fill(t, dir)
	_, err := Start(testContext(t), Options{Dir: dir})
	if !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), "is full") {
		t.Errorf("got %v", err)
	}
}
