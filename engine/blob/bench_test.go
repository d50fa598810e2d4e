package blob_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/blob"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"
)

func BenchmarkPut(b *testing.B) {
	for name, content := range map[string]func(i int) string{
		"new":   strconv.Itoa,
		"again": func(int) string { return "the same" },
	} {
		b.Run(name, func(b *testing.B) {
			s, err := blob.OpenFolder(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if _, err := s.Put(b.Context(), strings.NewReader(content(i))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// lines writes a million lines of a hundred bytes.
const lines = `yes "$(printf '%099d' 7)" | head -n 1000000`

// BenchmarkLog is a job that writes 100 MB: its whole life, of that the time from
// its end until its log is in the store, and beside them the floors of both.
func BenchmarkLog(b *testing.B) {
	s, err := blob.OpenFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	d := local.Driver{Dir: b.TempDir()}
	var bare, read, run, kept time.Duration
	for i := 0; b.Loop(); i++ {
		file := filepath.Join(b.TempDir(), "file")
		bare += took(b, func() error { return exec.Command("sh", "-c", lines+" >"+file).Run() })
		read += took(b, func() error { return digest(file) })
		id := "job" + strconv.Itoa(i)
		run += took(b, func() error { return toItsEnd(d, id) })
		kept += took(b, func() error { _, err := d.Collect(b.Context(), target.Target{}, id, s); return err })
		if err := d.Clean(b.Context(), target.Target{}, id); err != nil {
			b.Fatal(err)
		}
	}
	for name, d := range map[string]time.Duration{"ms-bare": bare, "ms-sha256": read, "ms-job": run, "ms-to-store": kept} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
	}
}

func took(b *testing.B, do func() error) time.Duration {
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func digest(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sha256.New(), f)
	return err
}

func toItsEnd(d local.Driver, id string) error {
	ctx := context.Background()
	job := target.Job{ID: id, Script: lines + "; echo " + id, Host: map[string]string{"PATH": os.Getenv("PATH")}}
	if err := d.Submit(ctx, target.Target{}, job, nil); err != nil {
		return err
	}
	for {
		hint := d.Wait(target.Target{}, id)
		if st, err := d.Status(ctx, target.Target{}, id); err != nil || st.State.Ended() {
			return err
		}
		select {
		case <-hint:
		case <-time.After(200 * time.Millisecond):
		}
	}
}
