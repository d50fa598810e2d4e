package jobdir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// longLog makes a folder with a log of n numbered lines of ten bytes, cut to most.
func longLog(t *testing.T, n int, most int64) (dir, text string) {
	t.Helper()
	dir = t.TempDir()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%9d\n", i)
	}
	if err := os.WriteFile(Log(dir), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Trim(dir, most, "why"); err != nil {
		t.Fatal(err)
	}
	return dir, b.String()
}

func logFrom(t *testing.T, dir string, offset int64) (string, int64) {
	t.Helper()
	var w bytes.Buffer
	n, err := CopyLog(dir, offset, &w)
	if err != nil {
		t.Fatal(err)
	}
	return w.String(), n
}

// Offsets are those of what was written, whatever is left out.
func TestReadingAroundACut(t *testing.T) {
	dir, text := longLog(t, 10_000, 40_000)
	tail := text[90_000:]
	for offset, want := range map[int64]string{
		0:       text[:20_000] + "\n[70000 bytes are left out here: why]\n" + tail,
		19_990:  text[19_990:20_000] + "\n[70000 bytes are left out here: why]\n" + tail,
		20_000:  "\n[70000 bytes are left out here: why]\n" + tail,
		89_999:  "\n[1 bytes are left out here: why]\n" + tail,
		90_000:  tail,
		99_999:  "\n",
		100_000: "",
	} {
		if got, n := logFrom(t, dir, offset); got != want || n != 100_000 {
			t.Errorf("from %d: got %.100q… of %d bytes up to %d", offset, got, len(got), n)
		}
	}
}

// A log that grows on is cut again, behind who has read so far.
func TestACutGrows(t *testing.T) {
	dir, _ := longLog(t, 10_000, 40_000)
	f, err := os.OpenFile(Log(dir), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("x", 60_000)); err != nil {
		t.Fatal(err)
	}
	if err := Trim(dir, 40_000, "why"); err != nil {
		t.Fatal(err)
	}
	want := "\n[50000 bytes are left out here: why]\n" + strings.Repeat("x", 10_000)
	if got, n := logFrom(t, dir, 100_000); got != want || n != 160_000 {
		t.Errorf("got %.100q… of %d bytes up to %d", got, len(got), n)
	}
	r, err := OpenLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all bytes.Buffer
	if _, err := all.ReadFrom(r); err != nil || !strings.Contains(all.String(), "[130000 bytes") || all.Len() != 30_000+len("\n[130000 bytes are left out here: why]\n") {
		t.Errorf("got %d bytes, %v", all.Len(), err)
	}
}

// What is left out while it is read is not shown as zeros.
func TestACutUnderTheReader(t *testing.T) {
	text := strings.Repeat("a", 100)
	now := cut{}
	r := readAt(func(p []byte, offset int64) int {
		n := copy(p, text[offset:])
		now = cut{From: 10, To: 60, Why: "why"}
		return n
	})
	var w bytes.Buffer
	n, err := copyAround(&w, r, 0, 100, func() cut { return now })
	if want := text[:10] + "\n[50 bytes are left out here: why]\n" + text[:40]; w.String() != want || n != 100 || err != nil {
		t.Errorf("got %q up to %d, %v", w.String(), n, err)
	}
}

type readAt func(p []byte, offset int64) int

func (f readAt) ReadAt(p []byte, offset int64) (int, error) { return f(p, offset), nil }

// A log that the process itself cuts short is read to its present end.
func TestALogThatShrinksUnderItsCut(t *testing.T) {
	dir, text := longLog(t, 10_000, 40_000)
	for _, c := range []struct {
		size int64
		want string
	}{{50_000, text[:20_000] + "\n[70000 bytes are left out here: why]\n"}, {5, text[:5]}} {
		size, want := c.size, c.want
		if err := os.Truncate(Log(dir), size); err != nil {
			t.Fatal(err)
		}
		if got, n := logFrom(t, dir, 0); got != want || n != size {
			t.Errorf("at %d: got %d bytes up to %d", size, len(got), n)
		}
		if _, n := logFrom(t, dir, 90_000); n != size {
			t.Errorf("at %d: a follower went on at %d", size, n)
		}
	}
}

// A log with a second name belongs to a store, too.
func TestAGivenLogIsNotCut(t *testing.T) {
	dir, text := longLog(t, 1000, 1<<20)
	if err := os.Link(Log(dir), filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	if err := Trim(dir, 100, "why"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(Log(dir)); string(got) != text {
		t.Error("it was cut")
	}
}
