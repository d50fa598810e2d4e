package jobdir

import (
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkJob is the cost of one process folder from start to verdict.
func BenchmarkJob(b *testing.B) {
	for b.Loop() {
		dir := filepath.Join(b.TempDir(), "p")
		if err := Start(b.Context(), dir, Process{Argv: []string{"/bin/true"}, Work: "/"}); err != nil {
			b.Fatal(err)
		}
		for {
			v, err := Look(dir)
			if err != nil {
				b.Fatal(err)
			}
			if v.Phase == Ended {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// BenchmarkKillAll is the part of it that looks for what a job left behind.
func BenchmarkKillAll(b *testing.B) {
	for b.Loop() {
		killAll("/no/such/folder")
	}
}
