package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scoring is a pipeline that scores files in mini-batches of one, and what scores them:
// each call is told in one line.
const scoring = `amlflow: v1
pipeline: p
stages:
  data: { run: "for i in $(seq 100 %[2]d); do echo $i >\"$AMLFLOW_OUTPUT_DATA/$i\"; done", outputs: { data: folder } }
  score:
    env: { TOLD: '%[1]s' }
    batch: { over: "${{ stages.data.outputs.data }}", score: score.py, size: 1, parallel: 3, append: p.txt }
    retry: { budgets: { signal: 50, lost: 50 }, backoff: 10ms }
  show: { inputs: { p: "${{ stages.score.outputs.predictions }}" }, run: 'cat "$AMLFLOW_INPUT_P/p.txt"' }
`

const scorer = `import os, time
def run(batch):
    with open(os.environ["TOLD"], "a") as f:
        f.write(os.path.basename(batch[0]) + "\n")
    time.sleep(0.05)
    return [open(p).read() for p in batch]
`

// A batch is struck again and again: its job, a process that scores, the supervisor, the
// server. What was on record before a blow is not scored after it, results are whole and in
// order, and nothing is scored that nobody asked for.
func TestBatchSurvivesKills(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: python3 is not installed: apt-get install python3")
	}
	u, last := newUser(t), 240
	if *all {
		last = 900
	}
	told := filepath.Join(u.root, "told")
	u.write("score.py", scorer)
	u.write("p.pipeline.yaml", fmt.Sprintf(scoring, told, last))
	run := parse[struct{ Run string }](u, u.does("run", "p.pipeline.yaml", "--detach", "-o", "json")).Run
	u.until("something is scored", func() bool { return len(lines(told)) > 0 })
	known := map[string]bool{}
	for kills := 0; ; kills++ {
		u.pause(700 * time.Millisecond)
		if u.status(run).Status != "running" {
			t.Logf("%d kills", kills)
			break
		}
		before := len(lines(told))
		what := []string{"job", "process that scores", "supervisor", "server"}[kills%4]
		switch pid := u.ofBatch(what); {
		case what != "server" && pid > 0:
			u.strike(what, pid)
		case what == "server":
			u.killServer()
			u.does("server", "start")
		}
		for _, item := range lines(told)[before:] {
			if known[item] {
				t.Errorf("%s was on record, and was scored again", item)
			}
		}
		for item := range u.scored(run) {
			known[item] = true
		}
	}
	if s := u.status(run); s.Status != "succeeded" {
		t.Fatalf("the run is %s", s.Status)
	}
	var want []string
	for i := 100; i <= last; i++ {
		want = append(want, fmt.Sprint(i))
	}
	if got := strings.Fields(u.does("logs", run, "show")); !slices.Equal(got, want) {
		t.Errorf("the results are %v", got)
	}
}

func lines(file string) []string {
	text, _ := os.ReadFile(file)
	return strings.Fields(string(text))
}

// ofBatch finds a process of the batch that runs; 0 when there is none now.
func (u *user) ofBatch(what string) int {
	for _, p := range u.processes() {
		scores := strings.Contains(p.line, "--score")
		if !strings.Contains(p.line, "amlflow-batch.py") || scores != (what == "process that scores") {
			continue
		}
		if what != "supervisor" {
			return p.pid
		}
		status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "status"))
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
				pid, _ := strconv.Atoi(strings.TrimSpace(rest))
				return pid
			}
		}
	}
	return 0
}

// scored are the items whose results are in the journal of a job of the run.
func (u *user) scored(run string) map[string]bool {
	out := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(u.home, "local", "jobs", run+".score.*", "code", ".amlflow-batch", "results-*"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			var entry struct{ Rows []string }
			if _, body, _ := strings.Cut(line, " "); strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(body), &entry) == nil && len(entry.Rows) == 1 {
				out[strings.TrimSpace(entry.Rows[0])] = true
			}
		}
	}
	return out
}
