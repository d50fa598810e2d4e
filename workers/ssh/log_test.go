package ssh

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// Of a log that grows too long the middle is left out while the job writes on, and what is
// read from anywhere says so; the offsets count what was written.
func TestLogIsBounded(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("SKIP: there is no flock: apt-get install -y util-linux")
	}
	r, dir, d := startServer(t), workdir(t), driver(t)
	b := bench{rig: r, dir: dir, t: r.target(t, dir, map[string]any{"log": "512Ki"})}
	// It goes on once the log was shortened, which it can see, and once more.
	b.needs(t, d, "chatty", `echo begin
for turn in 1 2; do
	cut=$(cat ../../cut 2>/dev/null) || true
	yes "line of turn $turn" | head -c 1999995
	while [ "$(cat ../../cut 2>/dev/null)" = "$cut" ]; do sleep 0.1; done
done
yes filled | head -c 1999991
echo end`, target.Resources{})
	following, reached := "", int64(0)
	st := b.until(t, d, "chatty", func(st target.Status) bool {
		more, n := b.from(t, d, "chatty", reached)
		following, reached = following+more, n
		return ended(st)
	})
	more, whole := b.from(t, d, "chatty", reached)
	following += more
	text, n := b.from(t, d, "chatty", 0)
	if want := int64(len("begin\nend\n") + 2*1_999_995 + 1_999_991); n != want || whole != want {
		t.Errorf("%d bytes were written, and it reached %d and %d", want, n, whole)
	}
	if st.State != target.Succeeded || !strings.HasPrefix(text, "begin\nline of turn 1\n") || !strings.HasSuffix(text, "filled\nend\n") || strings.Contains(text+following, "\x00") {
		t.Fatalf("got %+v, log %.100q", st, text)
	}
	if len(text) > 600_000 || !strings.HasPrefix(following, "begin\nline of turn 1\n") || !strings.HasSuffix(following, "filled\nend\n") {
		t.Errorf("%d bytes of the log are kept, a follower has read %d", len(text), len(following))
	}
	before, after, cut := strings.Cut(text, "are left out here: a log is kept up to 512Ki, which `log` of the target sets]\n")
	left := before[strings.LastIndex(before, "\n")+1:]
	var gone int64
	if _, err := fmt.Sscanf(left, "[%d bytes", &gone); err != nil || !cut || gone != n-int64(len(after))-int64(len(before)-len(left)-1) {
		t.Errorf("it says %q in place of what is left out: %v", left, err)
	}
	for _, from := range []int64{5, 100_000, n - 50, n} {
		want := text[min(from, int64(len(text))):]
		if from > int64(len(before)) {
			want = after[int64(len(after))-(n-from):]
		}
		if got, to := b.from(t, d, "chatty", from); got != want || to != n {
			t.Errorf("from %d: %d bytes up to %d, want %d", from, len(got), to, len(want))
		}
	}
	out := &targettest.Blobs{}
	res, err := d.Collect(t.Context(), b.t, "chatty", out)
	if err != nil || out.Text(res.Log) != text {
		t.Errorf("another log was collected, of %d bytes: %v", len(out.Text(res.Log)), err)
	}
	if info, err := os.Stat(b.unit("chatty", "log")); err != nil || info.Sys().(*syscall.Stat_t).Blocks*512 > 1<<20 {
		t.Errorf("it takes the disk %d bytes: %v", info.Sys().(*syscall.Stat_t).Blocks*512, err)
	}
}

// from reads the log from an offset on.
func (b bench) from(t *testing.T, d Driver, id string, offset int64) (string, int64) {
	t.Helper()
	var text strings.Builder
	n, err := d.Read(t.Context(), b.t, id, target.Stream{Name: target.Log}, offset, &text)
	if err != nil {
		t.Fatal(err)
	}
	return text.String(), n
}
