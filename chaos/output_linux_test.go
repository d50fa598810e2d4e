package chaos

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// F14: a log has NUL, a very long line and no newline at its end, and is cut while
// it is followed. Whoever follows it neither hangs nor loops nor takes much memory.
func TestStrangeLog(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	half, end := u.gate("half"), u.gate("end")
	run := u.submit(step{name: "strange", script: `
printf 'before\000after\n'
head -c 100000000 /dev/zero | tr '\000' x
` + half.wait() + "echo; echo cut\n" + end.wait() + "printf 'no newline'\n"})
	u.until("the job runs", func() bool { return len(u.running()) == 1 })
	follow := u.command("logs", run, "--follow")
	var out tail
	follow.Stdout = &out
	u.must(follow.Start())
	most := u.watchMemory(follow.Process.Pid)
	u.until("the long line was written", func() bool { return u.logSize(run+".strange.1") > 100_000_000 })
	u.must(os.Truncate(u.logPath(run+".strange.1"), 1000))
	half.open()
	u.until("the job goes on", func() bool { return u.logSize(run+".strange.1") > 1000 })
	end.open()
	u.must(follow.Wait())
	u.Logf("following it took %d MiB of memory at most", most()>>20)
	if most() > 64<<20 {
		t.Errorf("following the log took %d bytes of memory, more than 64 MiB", most())
	}
	u.observe(run)
	again := u.does("logs", run)
	if !strings.Contains(again, "before") || !strings.Contains(again, "after") || !strings.Contains(again, "no newline") {
		t.Errorf("the log lacks its beginning or its end: %d bytes, %.100q", len(again), again)
	}
	u.judge()
}

func (u *user) logPath(job string) string {
	return filepath.Join(u.home, "local", "jobs", job, "log")
}

func (u *user) logSize(job string) int64 {
	info, err := os.Stat(u.logPath(job))
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail keeps nothing but the size of what is written to it.
type tail struct{ n int64 }

func (t *tail) Write(p []byte) (int, error) { t.n += int64(len(p)); return len(p), nil }

// watchMemory samples the memory of a process that no file backs, in bytes, until
// it is gone, and returns how to know the most so far.
func (u *user) watchMemory(pid int) (most func() int64) {
	seen := make(chan int64, 1)
	seen <- 0
	go func() {
		for !gone(pid) {
			now := anonymous(pid)
			seen <- max(<-seen, now)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() int64 { n := <-seen; seen <- n; return n }
}

func anonymous(pid int) int64 {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// F27: a job writes gigabytes. The server's memory does not grow with them, and of a
// log longer than its target keeps a part is left out, which a line in it says.
func TestGigabytesOfOutput(t *testing.T) {
	long(t)
	t.Parallel()
	u := newUser(t)
	bytes := int64(*output) << 30
	u.does("server", "start")
	before := anonymous(u.server("server"))
	most := u.watchMemory(u.server("server"))
	run := u.submit(step{name: "loud", script: fmt.Sprintf("yes 0123456789abcdef | head -c %d || :\necho the end\n", bytes)})
	r := u.observe(run)
	u.Logf("%d MiB of memory at most, %d MiB before, for %d MiB of output", most()>>20, before>>20, bytes>>20)
	if grown := most() - before; grown > 100<<20 {
		t.Errorf("the server grew by %d MiB", grown>>20)
	}
	if r.Status != "succeeded" {
		t.Errorf("the run is %s: %v", r.Status, deref(r.Error))
	}
	logs := u.command("logs", run)
	pipe, err := logs.StdoutPipe()
	u.must(err)
	u.must(logs.Start())
	kept, marks, last, err := readLog(pipe)
	u.must(errors.Join(err, logs.Wait()))
	u.Logf("the log has %d bytes and %d marks", kept, marks)
	if kept > limit+limit/2 || marks != 1 || !strings.HasSuffix(last, "the end") {
		t.Errorf("the log has %d bytes, %d marks, and ends with %q; want about %d, one, and what the job printed last", kept, marks, last, limit)
	}
	u.judge()
}

// limit is how many bytes of a log the target of this computer keeps unless told.
const limit = 1 << 30

var output = flag.Int("output", 2, "how many GiB the loud job writes")

// readLog counts the bytes of a log and the lines in it that say what was left out, and
// returns its last line.
func readLog(r io.Reader) (bytes int64, marks int, last string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		last = lines.Text()
		bytes += int64(len(last)) + 1
		if strings.Contains(last, " bytes are left out here: ") {
			marks++
		}
	}
	return bytes, marks, last, lines.Err()
}
