package targettest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

var secretQuestions = []question{
	{"SecretsAreExact", secretsAreExact},
	{"SecretsAreNotKept", secretsAreNotKept},
	{"SecretsReachAllRanks", secretsReachAllRanks},
	{"CancelledSecretsAreNotKept", cancelledSecretsAreNotKept},
	{"LogIsStoredAsOne", logIsStoredAsOne},
}

func secretsAreExact(t *testing.T, h Harness) {
	j := target.Job{ID: "secret-env", Command: []string{"env", "-0"}, Host: h.Host, Secrets: hostile(), Grace: grace}
	j.Secrets["X_LONG"] = strings.Repeat("x'", 32_000)
	j.Env = map[string]string{"X_SPACES": "a secret comes before a variable"}
	want := maps.Clone(j.Secrets)
	h.succeed(t, j, nil)
	got := map[string]string{}
	for _, kv := range strings.Split(h.log(t, j.ID), "\x00") {
		name, value, _ := strings.Cut(kv, "=")
		got[name] = value
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: got %.300q, want %.300q", name, got[name], value)
		}
	}
}

const hidden = "5up3r-hidden"

// traceless is a job that looks for its secret where it reports to, and is looked
// into while it runs.
func (h Harness) traceless(id string) target.Job {
	j := h.job(id, `[ "$X_TOKEN" = "5up3r""-hidden" ] || exit 3
if grep -rqF "$X_TOKEN" "${AMLFLOW_OUTPUTS%/*}"; then echo kept; fi
echo '{"n": 1}' >"$AMLFLOW_OUTPUTS"
echo on; sleep 300`)
	j.Secrets = map[string]string{"X_TOKEN": hidden}
	return j
}

// untold wants that no file of the target that can be seen here has the secret.
func (h Harness) untold(t *testing.T, when string) {
	t.Helper()
	if h.Folder == "" {
		return
	}
	err := filepath.WalkDir(h.Folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(hidden)) {
			t.Errorf("%s, %s holds a secret", when, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Once the job runs, its secrets are in its memory and nowhere else.
func secretsAreNotKept(t *testing.T, h Harness) {
	j := h.traceless("traceless")
	h.submit(t, j, nil)
	h.logHas(t, j.ID, "on\n")
	if log := h.log(t, j.ID); log != "on\n" {
		t.Errorf("its own folder holds the secret: %q", log)
	}
	h.untold(t, "while it runs")
	h.submit(t, j, nil)
	h.untold(t, "submitted again")
	h.cancel(t, j.ID)
	st := h.wait(t, j.ID)
	h.untold(t, "after its end")
	out := &Blobs{}
	text, err := json.Marshal([]any{st, h.collect(t, j.ID, out)})
	if err != nil || bytes.Contains(text, []byte(hidden)) {
		t.Errorf("the results hold a secret: %s, %v", text, err)
	}
	for ref, content := range out.m {
		if bytes.Contains(content, []byte(hidden)) {
			t.Errorf("the content %s holds a secret: %q", ref, content)
		}
	}
}

func secretsReachAllRanks(t *testing.T, h Harness) {
	j := h.pair(t, "secret-ranks", `echo "$X_TOKEN"`)
	j.Secrets = map[string]string{"X_TOKEN": hidden}
	h.succeed(t, j, nil)
	for rank := range 2 {
		if got := h.rankLog(t, j.ID, rank); got != hidden+"\n" {
			t.Errorf("rank %d had %q", rank, got)
		}
	}
}

// A job that never starts leaves none either.
func cancelledSecretsAreNotKept(t *testing.T, h Harness) {
	j := h.traceless("never")
	h.cancel(t, j.ID)
	h.submit(t, j, nil)
	if st := h.wait(t, j.ID); st.State != target.Cancelled && st.State != target.Lost {
		t.Errorf("got %+v", st)
	}
	h.untold(t, "cancelled before it began")
}

func logIsStoredAsOne(t *testing.T, h Harness) {
	j := h.job("log", `echo some words; echo data >"$AMLFLOW_OUTPUT_ONE_FILE"`)
	j.Outputs = threeOutputs[:1]
	h.succeed(t, j, nil)
	out := &LogBlobs{}
	r := h.collect(t, j.ID, out)
	if got := out.Text(r.Log); got != "log: some words\n" {
		t.Errorf("the log was stored as %q, not with target.PutLog", got)
	}
	if got := out.Text(r.Artifacts["one.file"]); got != "data\n" {
		t.Errorf("the output was stored as %q", got)
	}
}
