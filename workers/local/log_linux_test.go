package local

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// gauge counts what it is written and keeps the last of it.
type gauge struct {
	n    int64
	last []byte
}

func (g *gauge) Write(p []byte) (int, error) {
	g.n += int64(len(p))
	g.last = append(g.last[:0], p[max(0, len(p)-100):]...)
	return len(p), nil
}

// watched follows a job and its log to the end. It returns the most memory that was
// in use meanwhile beyond what other tests have left, what was read, and the most of the log that lay on the disk.
func watched(t *testing.T, d Driver, here target.Target) (st target.Status, g gauge, heap uint64, disk int64) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, offset := m.HeapInuse, int64(0)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var err error
		if st, err = d.Status(t.Context(), here, "job"); err != nil {
			t.Fatal(err)
		}
		from := offset
		if offset, err = d.Read(t.Context(), here, "job", target.Stream{Name: target.Log}, offset, &g); err != nil || offset < from {
			t.Fatalf("read from %d to %d: %v", from, offset, err)
		}
		runtime.ReadMemStats(&m)
		heap = max(heap, max(m.HeapInuse, before)-before)
		if info, err := os.Stat(filepath.Join(d.Dir, "jobs/job/log")); err == nil {
			disk = max(disk, info.Sys().(*syscall.Stat_t).Blocks*512)
		}
		if st.State.Ended() && from == offset {
			return st, g, heap, disk
		}
	}
	t.Fatalf("it did not come to an end: %+v at %d", st, offset)
	return st, g, heap, disk
}

// F27: output beyond the bound. The job is neither slowed nor killed, the memory of
// its followers stays small, and what is kept says what is not.
func TestALogBeyondItsBound(t *testing.T) {
	d := driver(t)
	here := local(`{"log": "1Mi"}`)
	const script = `echo first; i=0; while [ $i -lt 300 ]; do head -c 1000000 /dev/zero | tr '\0' x; echo; i=$((i+1)); done; printf last`
	if err := d.Submit(t.Context(), here, target.Job{ID: "job", Script: script, Host: host()}, &targettest.Blobs{}); err != nil {
		t.Fatal(err)
	}
	st, g, heap, disk := watched(t, d, here)
	t.Logf("of 300 MB %d MB were read live; at most %d MB of memory, and %d MB of the disk, were in use", g.n>>20, heap>>20, disk>>20)
	if st.State != target.Succeeded || !strings.HasSuffix(string(g.last), "last") || heap > 64<<20 {
		t.Errorf("got %+v, %d bytes of memory, the end %q", st, heap, g.last)
	}
	info, err := os.Stat(filepath.Join(d.Dir, "jobs/job/log"))
	if err != nil {
		t.Fatal(err)
	}
	if left := info.Sys().(*syscall.Stat_t).Blocks * 512; left > 2<<20 {
		t.Logf("SKIP: %d bytes lie on the disk: this file system cannot free the middle of a file", left)
	}
	out := &targettest.Blobs{}
	r, err := d.Collect(t.Context(), here, "job", out)
	if err != nil {
		t.Fatal(err)
	}
	kept := out.Text(r.Log)
	if len(kept) > 1<<20+200 || !strings.HasPrefix(kept, "first\nxxx") || !strings.HasSuffix(kept, "x\nlast") || strings.Count(kept, "bytes are left out here: a log is kept up to 1Mi, which `log` of the target sets]\n") != 1 || strings.ContainsRune(kept, 0) {
		t.Errorf("%d bytes are kept: %.40q … %q", len(kept), kept, kept[max(0, len(kept)-40):])
	}
}

// F14: a line without an end, and bytes that are no text.
func TestALineOfMegabytes(t *testing.T) {
	d := driver(t)
	submit(t, d, `head -c 50000000 /dev/zero; head -c 50000000 /dev/zero | tr '\0' x`, target.Resources{})
	st, g, heap, _ := watched(t, d, local(""))
	if st.State != target.Succeeded || g.n != 100_000_000 || heap > 64<<20 {
		t.Errorf("got %+v, %d bytes read, %d bytes of memory", st, g.n, heap)
	}
}

func TestABoundThatLeavesNothing(t *testing.T) {
	d := driver(t)
	err := d.Submit(t.Context(), local(`{"log": "1Ki"}`), target.Job{ID: "job", Script: "true"}, &targettest.Blobs{})
	if err == nil || !strings.Contains(err.Error(), "at least 64Ki") {
		t.Errorf("got %v", err)
	}
}
