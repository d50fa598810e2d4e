package targettest

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var streamQuestions = []question{
	{"LogResumesAtEveryOffset", logResumesAtEveryOffset},
	{"LogIsLive", logIsLive},
	{"LogKeepsOrder", logKeepsOrder},
	{"LogIsCutVisibly", logIsCutVisibly},
	{"MetricsAreLive", metricsAreLive},
	{"UnknownStreamIsRefused", unknownStreamIsRefused},
}

func logResumesAtEveryOffset(t *testing.T, h Harness) {
	const text = "a\n\xff\xfe\x00 gr\xc3\xb6\xc3\x9fe\r\nlast" // no text in UTF-8, no final newline
	h.succeed(t, h.job("offsets", `printf 'a\n\377\376\000 gr\303\266\303\237e\r\nlast'`), nil)
	for from := range len(text) + 1 {
		if got, n := h.read(t, "offsets", target.Stream{Name: target.Log}, int64(from)); got != text[from:] || n != int64(len(text)) {
			t.Errorf("from %d: got %q up to %d", from, got, n)
		}
	}
}

func logIsLive(t *testing.T, h Harness) {
	j := h.job("live", "echo one; sleep 300")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "one\n")
	if st := h.status(t, j.ID); st.State != target.Running {
		t.Errorf("got %+v", st)
	}
}

func logKeepsOrder(t *testing.T, h Harness) {
	h.succeed(t, h.job("order", "for i in 1 2 3; do echo out$i; echo err$i >&2; done"), nil)
	if got := h.log(t, "order"); got != "out1\nerr1\nout2\nerr2\nout3\nerr3\n" {
		t.Errorf("got %q", got)
	}
}

func metricsAreLive(t *testing.T, h Harness) {
	j := h.job("metrics", `echo '{"loss":1}' >>"$AMLFLOW_METRICS"; echo on; sleep 300`)
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	if got, n := h.read(t, j.ID, target.Stream{Name: target.Metrics}, 0); got != `{"loss":1}`+"\n" || n != 11 {
		t.Errorf("got %q up to %d", got, n)
	}
}

func unknownStreamIsRefused(t *testing.T, h Harness) {
	h.succeed(t, h.job("stream", "true"), nil)
	if _, err := h.Driver.Read(t.Context(), h.Target, "stream", target.Stream{Name: "nonsense"}, 0, nil); err == nil {
		t.Error("a stream that does not exist was read")
	}
}

// A target may leave out the middle of a long log. What it gives then is shorter
// than the way of the offsets, says so in a line, and has the end.
func logIsCutVisibly(t *testing.T, h Harness) {
	const wrote = 30_000_001
	h.succeed(t, h.job("long", `head -c 30000000 /dev/zero | tr '\0' x; echo`), nil)
	text, n := h.read(t, "long", target.Stream{Name: target.Log}, 0)
	if n != wrote || !strings.HasSuffix(text, "xx\n") {
		t.Errorf("read %d bytes up to %d", len(text), n)
	}
	if len(text) != wrote && !strings.Contains(text, "left out") {
		t.Errorf("%d bytes are left out, and nothing says so", wrote-len(text))
	}
	if text, n := h.read(t, "long", target.Stream{Name: target.Log}, wrote-1); text != "\n" || n != wrote {
		t.Errorf("at the end: read %q up to %d", text, n)
	}
}
