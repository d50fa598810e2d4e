package batch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"

	"github.com/google/go-cmp/cmp"
)

// bench is a job folder as a target would make it, for a batch over what is in in/.
type bench struct {
	*testing.T
	dir  string
	spec batch.Spec
}

func newBench(t *testing.T, score string, spec batch.Spec) *bench {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIP: python3 is not installed: apt-get install python3")
	}
	b := &bench{T: t, dir: t.TempDir(), spec: spec}
	for _, sub := range []string{"in", "out", "tmp", "code", "checkpoint"} {
		if err := os.Mkdir(b.at(sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.write("code/score.py", "import os, sys, time\ncalls = os.environ['CALLS']\n"+score)
	b.spec.Score, b.spec.Output = "score.py", "predictions"
	b.spec.Folder = true
	if b.spec.Append == "" {
		b.spec.Append = "p.csv"
	}
	if b.spec.Items == "" {
		b.spec.Items = "files"
	}
	b.spec.Processes = max(b.spec.Processes, 1)
	return b
}

func (b *bench) at(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(b.at(name)), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(b.at(name), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	text, _ := os.ReadFile(b.at(name))
	return string(text)
}

// files makes n files that hold their numbers.
func (b *bench) files(n int) {
	for i := range n {
		b.write(fmt.Sprintf("in/%02d/%04d", i%3, i), fmt.Sprint(i))
	}
}

// job is the batch as a process.
func (b *bench) job(node map[string]string) (*exec.Cmd, *bytes.Buffer) {
	j := target.Job{Inputs: []target.Artifact{{Name: batch.Input, Ref: "tree:sha256:1"}}}
	b.spec.Job(&j)
	c := exec.Command("sh", "-ec", j.Script)
	c.Dir = b.at("code")
	input := b.at("in")
	if b.spec.Items != "files" {
		input = b.at("in/table")
	}
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "AMLFLOW_INPUT_BATCH": input, "AMLFLOW_OUTPUT_PREDICTIONS": b.at("out"), "AMLFLOW_METRICS": b.at("metrics"), "TMPDIR": b.at("tmp"), "AMLFLOW_JOB": "job",
		"AMLFLOW_CHECKPOINT": b.at("checkpoint"), "CALLS": b.at("calls"), "AMLFLOW_BATCH": j.Env["AMLFLOW_BATCH"], "PYTHONDONTWRITEBYTECODE": "1",
	}
	for name, value := range node {
		env[name] = value
	}
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	return c, &out
}

// run carries the batch out and returns its exit status and its log.
func (b *bench) run() (int, string) {
	b.Helper()
	c, out := b.job(nil)
	err := c.Run()
	if c.ProcessState == nil {
		b.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

func (b *bench) good() string {
	b.Helper()
	if status, log := b.run(); status != 0 {
		b.Fatalf("exit status %d:\n%s", status, log)
	}
	return b.read("out/" + b.spec.Append)
}

func (b *bench) metrics() map[string]float64 {
	lines := strings.Split(strings.TrimSpace(b.read("metrics")), "\n")
	var m map[string]float64
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		b.Fatal(err)
	}
	return m
}

// Results come in the order of the input, whoever is done first.
func TestOrder(t *testing.T) {
	b := newBench(t, `
def run(batch):
    time.sleep(0.02 if "0000" in batch[0] else 0)
    return [os.path.basename(p) + "=" + open(p).read() for p in batch]
`, batch.Spec{Size: 7, Processes: 4, Append: "p.txt"})
	b.files(100)
	var want []string
	for dir := range 3 {
		for i := dir; i < 100; i += 3 {
			want = append(want, fmt.Sprintf("%04d=%d", i, i))
		}
	}
	if d := cmp.Diff(strings.Join(want, "\n")+"\n", b.good()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]float64{"items": 100, "scored": 100, "failed": 0, "batches": 15, "retried": 0}, b.metrics()); d != "" {
		t.Error(d)
	}
}

// What a result is, and what the file is called, say how it is written.
func TestForms(t *testing.T) {
	const table = "id,text\n1,\"two\nlines\"\n2,plain\n\n3,\"a \"\"b\"\"\"\n"
	for name, c := range map[string]struct {
		items, file, score, in, want string
		size                         int
		bytes                        int64
	}{
		"objects":         {"csv", "p.csv", "[{'id': r['id'], 'n': len(r['text'])} for r in batch]", table, "id,n\n1,9\n2,5\n3,5\n", 2, 0},
		"other columns":   {"lines", "p.csv", "[{'a': 1, l: 2} for l in batch]", "b\nc\nb\n", "a,b,c\n1,2,\n1,,2\n1,2,\n", 1, 0},
		"rows":            {"lines", "p.tsv", "[(l, len(l)) for l in batch]", "one\r\n\nthree", "one\t3\nthree\t5\n", 5, 0},
		"text in a table": {"lines", "p.csv", "[l + ',\"x\"' for l in batch]", "a\nb\n", "a,\"x\"\nb,\"x\"\n", 5, 0},
		"json lines":      {"jsonl", "p.jsonl", "[{'n': v['n'] + 1, 'ä': None} for v in batch]", "{\"n\": 1}\n{\"n\": 2}\n", "{\"n\": 2, \"ä\": null}\n{\"n\": 3, \"ä\": null}\n", 1, 0},
		"numbers":         {"lines", "p.txt", "(float(l) for l in batch)", "1\n2.5\n", "1.0\n2.5\n", 1, 0},
		"by bytes":        {"lines", "p.txt", "[str(len(batch))] * len(batch)", "12\n12\n12\n12\n12\n", "2\n2\n2\n2\n1\n", 0, 5},
		"nothing":         {"lines", "p.txt", "1/0", "\n\n", "", 3, 0},
		"a header only":   {"csv", "p.csv", "1/0", "a,b\n", "", 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "def run(batch): return "+c.score, batch.Spec{Items: c.items, Size: c.size, Bytes: c.bytes, Append: c.file, Processes: 2})
			b.write("in/table", c.in)
			if d := cmp.Diff(c.want, b.good()); d != "" {
				t.Error(d)
			}
		})
	}
}

const troubles = `
def run(batch):
    numbers = [int(open(p).read()) for p in batch]
    with open(calls, "a") as f: f.write(" ".join(map(str, numbers)) + "\n")
    if 4 in numbers: os._exit(3)
    if 7 in numbers: time.sleep(600)
    if 10 in numbers: raise ValueError("no luck with 10")
    return [None if n == 13 else [n] for n in numbers]
`

// A process that dies, hangs or raises costs its mini-batch, after its tries, and nothing else.
func TestTroubles(t *testing.T) {
	b := newBench(t, troubles, batch.Spec{Size: 2, Processes: 2, Retries: 1, Threshold: -1, Timeout: 300 * time.Millisecond})
	for i := range 20 {
		b.write(fmt.Sprintf("in/%02d", i), fmt.Sprint(i))
	}
	want := "0\n1\n2\n3\n8\n9\n12\n14\n15\n16\n17\n18\n19\n"
	if d := cmp.Diff(want, b.good()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]float64{"items": 20, "scored": 13, "failed": 7, "batches": 10, "retried": 3}, b.metrics()); d != "" {
		t.Error(d)
	}
	failed := b.read("out/failed.jsonl")
	for _, part := range []string{`{"item": "04", "error": "the process that scored it died (exit code 3)"}`, `{"item": "06", "error": "it took longer than its timeout of 0.3s"}`, `{"item": "11", "error": "ValueError: no luck with 10"}`, `{"item": "13", "error": "run returned None for it"}`} {
		if !strings.Contains(failed, part) {
			t.Errorf("%s is not in\n%s", part, failed)
		}
	}
}

// Over the threshold it ends, and says which items; who begins again tries those once more,
// and nothing that gave a result.
func TestThreshold(t *testing.T) {
	b := newBench(t, troubles, batch.Spec{Size: 2, Processes: 1, Threshold: 3, Timeout: 300 * time.Millisecond})
	for i := range 20 {
		b.write(fmt.Sprintf("in/%02d", i), fmt.Sprint(i))
	}
	status, log := b.run()
	if status != 65 || !strings.Contains(log, "batch: 4 files failed, and error_threshold allows 3\nbatch:   04: the process that scored it died (exit code 3)\n") {
		t.Errorf("exit status %d:\n%s", status, log)
	}
	if why := b.spec.Explain(status, b.metrics()); why != "4 of 20 files failed, and error_threshold allows 3" {
		t.Error(why)
	}
	b.write("code/score.py", strings.ReplaceAll(b.read("code/score.py"), "if", "if False and"))
	b.write("calls", "")
	if got := b.good(); strings.Count(got, "\n") != 20 || !strings.HasPrefix(got, "0\n1\n") {
		t.Error(got)
	}
	if calls := b.read("calls"); !strings.HasPrefix(calls, "4 5\n6 7\n8 9\n") {
		t.Errorf("scored again:\n%s", calls)
	}
}

func TestScoreFilesThatCannotBeUsed(t *testing.T) {
	for score, want := range map[string]string{
		"def init(): open('/no/such/model')\ndef run(batch): return batch": "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/model'",
		"def score(batch): return batch":                                   "'score.py' has no function run(mini_batch): define one (init() is optional)",
		"import no_such_module":                                            "ModuleNotFoundError: No module named 'no_such_module'",
		"def init(): os._exit(9)\ndef run(batch): return batch":            "the process that scores died three times before it was ready (exit code 9)",
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, score, batch.Spec{Size: 1, Processes: 2})
			b.files(5)
			if status, log := b.run(); status != 66 || !strings.Contains(log, want) {
				t.Errorf("exit status %d, without %q:\n%s", status, want, log)
			}
		})
	}
}

// Results that are no list are a mistake of the score file's, with what to write instead.
func TestResultsThatAreNone(t *testing.T) {
	b := newBench(t, "def run(batch): pass", batch.Spec{Size: 10})
	b.files(2)
	if status, log := b.run(); status != 65 || !strings.Contains(log, "run returned None: return a list with one result for each item that succeeded") {
		t.Errorf("exit status %d:\n%s", status, log)
	}
}

// recorded are the items in the journal, as their mini-batches.
func (b *bench) recorded() map[int]bool {
	out := map[int]bool{}
	files, _ := filepath.Glob(b.at("checkpoint/results-*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var entry struct {
				Batch *int `json:"batch"`
			}
			_, body, _ := strings.Cut(line, " ")
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(body), &entry) == nil && entry.Batch != nil {
				out[*entry.Batch] = true
			}
		}
	}
	return out
}

// However often it is killed, nothing that is on record is scored again, nothing is missing
// and nothing is there twice.
func TestKilled(t *testing.T) {
	b := newBench(t, `
def run(batch):
    with open(calls, "a") as f: f.write(os.path.basename(batch[0]) + "\n")
    time.sleep(0.01)
    return [open(p).read() for p in batch]
`, batch.Spec{Size: 1, Processes: 3, Append: "p.txt"})
	for i := range 120 {
		b.write(fmt.Sprintf("in/%04d", i), fmt.Sprint(i))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	known := map[string]bool{} // recorded before the last kill, by the name of the item
	for round := range 6 {
		c, out := b.job(nil)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		before := strings.Count(b.read("calls"), "\n")
		wanted := before + 1 + rng.IntN(15)
		for deadline := time.Now().Add(30 * time.Second); strings.Count(b.read("calls"), "\n") < wanted && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		_ = c.Process.Kill() // the shell has become it
		_ = c.Wait()
		calls := strings.Split(strings.TrimSpace(b.read("calls")), "\n")
		for _, call := range calls[before:] {
			if known[call] {
				t.Fatalf("round %d: %s was on record and was scored again\n%s", round, call, out)
			}
		}
		for i := range b.recorded() {
			known[fmt.Sprintf("%04d", i)] = true
		}
	}
	if len(known) < 6 || len(known) == 120 {
		t.Errorf("%d were on record at the last kill: this shows nothing", len(known))
	}
	var want strings.Builder
	for i := range 120 {
		fmt.Fprintln(&want, i)
	}
	if d := cmp.Diff(want.String(), b.good()); d != "" {
		t.Error(d)
	}
}

// A line that was cut, by a machine that went away, counts as if it were not there.
func TestTornJournal(t *testing.T) {
	b := newBench(t, "def run(batch):\n    open(calls, 'a').write('x\\n')\n    return [open(p).read() for p in batch]", batch.Spec{Size: 1, Append: "p.txt"})
	for i := range 5 {
		b.write(fmt.Sprintf("in/%d", i), fmt.Sprint(i))
	}
	b.good()
	files, _ := filepath.Glob(b.at("checkpoint/results-*"))
	text := b.read("checkpoint/" + filepath.Base(files[0]))
	b.write("checkpoint/"+filepath.Base(files[0]), text[:len(text)-3])
	b.write("calls", "")
	if got := b.good(); got != "0\n1\n2\n3\n4\n" || b.read("calls") != "x\n" {
		t.Errorf("%q after the calls %q", got, b.read("calls"))
	}
	b.spec.Size = 2 // it is another batch now
	b.write("calls", "")
	if got := b.good(); got != "0\n1\n2\n3\n4\n" || b.read("calls") != "x\nx\nx\n" {
		t.Errorf("%q after the calls %q", got, b.read("calls"))
	}
}

// Several nodes score together; rank 0 alone writes results.
func TestNodes(t *testing.T) {
	b := newBench(t, `
def run(batch):
    with open(calls, "a") as f: f.write(os.environ["RANK"] + "\n")
    time.sleep(0.01)
    if "7" in batch[0][-1:]: os._exit(1)
    return [open(p).read() for p in batch]
`, batch.Spec{Size: 1, Processes: 2, Append: "p.txt", Threshold: -1})
	for i := range 60 {
		b.write(fmt.Sprintf("in/%02d", i), fmt.Sprint(i))
	}
	var ranks []*exec.Cmd
	var logs []*bytes.Buffer
	port := freePort(t)
	for _, rank := range []string{"2", "1", "0"} {
		c, out := b.job(map[string]string{"RANK": rank, "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port})
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ranks, logs = append(ranks, c), append(logs, out)
	}
	for i, c := range ranks {
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, logs[i])
		}
	}
	var want strings.Builder
	for i := range 60 {
		if i%10 != 7 {
			fmt.Fprintln(&want, i)
		}
	}
	if d := cmp.Diff(want.String(), b.read("out/p.txt")); d != "" {
		t.Error(d)
	}
	for _, rank := range []string{"0", "1", "2"} {
		if !slices.Contains(strings.Fields(b.read("calls")), rank) {
			t.Errorf("rank %s has scored nothing", rank)
		}
	}
}

// A mistake that only another node sees ends all of them.
func TestNodeWithoutModel(t *testing.T) {
	b := newBench(t, "def init():\n    if os.environ['RANK'] == '1': raise OSError('no model here')\ndef run(batch):\n    time.sleep(0.2)\n    return batch", batch.Spec{Size: 1})
	b.files(50)
	node := map[string]string{"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": freePort(t)}
	other, log := b.job(node)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	node["RANK"] = "0"
	first, out := b.job(node)
	_ = first.Run()
	if err := other.Wait(); err != nil {
		t.Errorf("rank 1: %v\n%s", err, log)
	}
	if status := first.ProcessState.ExitCode(); status != 66 || !strings.Contains(out.String(), "the score file cannot be used: OSError: no model here") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
