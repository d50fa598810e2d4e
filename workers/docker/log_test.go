package docker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
	"github.com/amlflow/amlflow/workers/targettest"
)

// A log that grows too long loses its middle while it is written, and nothing else: the
// beginning and the end are there, a line says what is not, and the offsets count on.
func TestLogIsBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, r rig) {
		x := newTable(t, r.withPython(t), map[string]any{"image": pythonImage, "log": "512Ki"})
		// It goes on once the log was shortened, which it can see, and once more.
		x.submit(target.Job{ID: "chatty", Script: `echo begin
for turn in 1 2; do
	yes "line of turn $turn" | head -c 1999995
	while [ "$(stat -c %s /amlflow/life/log)" -gt 600000 ]; do sleep 0.1; done
done
echo end`}, &targettest.Blobs{})
		st := x.wait("chatty")
		text, reached := x.read("chatty", 0)
		if st.State != target.Succeeded || !strings.HasPrefix(text, "begin\nline of turn 1\n") || !strings.HasSuffix(text, "line of turn 2\nend\n") {
			t.Fatalf("got %+v, log %.100q", st, text)
		}
		if want := int64(len("begin\nend\n") + 2*1_999_995); reached != want {
			t.Errorf("%d bytes were written, and it reached %d", want, reached)
		}
		if len(text) > 700_000 {
			t.Errorf("%d bytes of the log are kept", len(text))
		}
		before, after, cut := strings.Cut(text, "are left out here: a log is kept up to 512Ki, which `log` of the target sets]\n")
		left := before[strings.LastIndex(before, "\n")+1:]
		var gone int64
		if _, err := fmt.Sscanf(left, "[%d bytes", &gone); err != nil || !cut || gone != reached-int64(len(after))-int64(len(before)-len(left)-1) {
			t.Errorf("it says %q in place of what is left out of %d bytes: %v", left, reached, err)
		}
		// Whoever reads on from anywhere gets the same.
		for _, from := range []int64{5, 100_000, reached - 50, reached} {
			want := text[min(from, int64(len(text))):]
			if from > int64(len(before)) {
				want = after[int64(len(after))-(reached-from):]
			}
			if got, n := x.read("chatty", from); got != want || n != reached {
				t.Errorf("from %d: %d bytes up to %d, want %d", from, len(got), n, len(want))
			}
		}
		if got, n := x.read("chatty", 1_000_000); n != reached || !strings.Contains(got, "are left out here") || !strings.HasSuffix(got, "\nend\n") {
			t.Errorf("from the middle: %.80q up to %d", got, n)
		}
		out := &targettest.Blobs{}
		res, err := x.d.Collect(t.Context(), x.t, "chatty", out)
		if err != nil || out.Text(res.Log) != text {
			t.Errorf("another log was collected, of %d bytes: %v", len(out.Text(res.Log)), err)
		}
	})
}

// What start.sh was at when it was killed is told by the size of the file.
func TestCutIsSettled(t *testing.T) {
	was := cut{where: 100, gone: 50, pending: 30, before: 400}
	if got := was.settle(400); got != (cut{where: 100, gone: 50}) {
		t.Errorf("not done: %+v", got)
	}
	if got := was.settle(371); got != (cut{where: 100, gone: 80}) {
		t.Errorf("done: %+v", got)
	}
	for offset, want := range map[int64]int64{0: 0, 100: 100, 101: 100, 150: 100, 151: 101, 400: 350} {
		if got := was.inFile(offset); got != want {
			t.Errorf("offset %d is at %d of the file, not at %d", offset, got, want)
		}
	}
	if got, want := was.line(120, 1<<20), []byte("\n[30 bytes are left out here: a log is kept up to 1Mi, which `log` of the target sets]\n"); !bytes.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
