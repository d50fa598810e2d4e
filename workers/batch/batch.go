// Package batch scores what an input holds in mini-batches: a script of Python that runs as an
// ordinary job, and what it is told.
package batch

import (
	_ "embed" // the script
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/amlflow/amlflow/workers/target"
)

//go:embed batch.py
var program string

// The names of what the job is given.
const (
	Input    = "batch" // what is scored
	Model    = "model"
	variable = "AMLFLOW_BATCH"
)

// Folder is where the job keeps what it can go on from, in the folder that it runs in; see
// target.Checkpoint.
const Folder = ".amlflow-batch"

// Keep is how many files in Folder are kept: all of them.
const Keep = 1 << 20

// Metrics are what every batch reports, in whole numbers: items in all, those that gave a
// result, those that did not, mini-batches, and tries that were not the first.
var Metrics = []string{"items", "scored", "failed", "batches", "retried"}

// Spec is what is to be scored and how.
type Spec struct {
	Items     string // files of a folder, or lines, csv or jsonl: those of one file
	Size      int    // items of a mini-batch
	Bytes     int64  // of a mini-batch, instead of Size
	Processes int    // on each node
	Parallel  int    // mini-batches at once, on all nodes; 0: one for each process
	Threshold int    // items that may fail; -1: any number
	Retries   int    // of a mini-batch
	Timeout   time.Duration
	Append    string // the name of the file of results
	Score     string // the Python file
	Output    string // the output that it goes to
	Folder    bool   // which is a folder
}

// Job makes j the job that does it. Results that an earlier attempt has kept are those of the
// same input and the same model, or it begins anew.
func (s Spec) Job(j *target.Job) {
	refs := map[string]target.Ref{}
	for _, in := range j.Inputs {
		refs[in.Name] = in.Ref
	}
	text, err := json.Marshal(map[string]any{
		"items": s.Items, "size": s.Size, "bytes": s.Bytes, "processes": s.Processes, "parallel": s.Parallel, "threshold": s.Threshold, "retries": s.Retries, "timeout": s.Timeout.Seconds(),
		"append": s.Append, "score": s.Score, "output": target.EnvName("AMLFLOW_OUTPUT_", s.Output), "folder": s.Folder, "over": refs[Input], "model": refs[Model],
	})
	if err != nil {
		panic(fmt.Sprintf("a batch is not plain data: %v", err)) // a mistake of ours
	}
	if j.Env == nil {
		j.Env = map[string]string{}
	}
	j.Env[variable] = string(text)
	j.Script = script()
}

// script writes the program where the job may write, since a target has nothing of ours.
func script() string {
	return `command -v python3 >/dev/null 2>&1 || { echo "batch scoring needs python3, which is not in the PATH of this target" >&2; exit 127; }
cat > "$TMPDIR/amlflow-batch.py" <<'AMLFLOW_BATCH_PY'
` + program + `AMLFLOW_BATCH_PY
exec python3 -u "$TMPDIR/amlflow-batch.py"
`
}

// The exit statuses of the script that mean something of their own.
const (
	tooManyFailed = 65
	badScoreFile  = 66
	noPeer        = 69
)

// Explain says in words why a batch failed with an exit status; "" when the status says
// nothing.
func (s Spec) Explain(exit int, metrics map[string]float64) string {
	switch exit {
	case tooManyFailed:
		return fmt.Sprintf("%s of %s failed, and error_threshold allows %s", number(metrics["failed"]), counted(metrics["items"], s.Unit()), number(float64(s.Threshold)))
	case badScoreFile:
		return fmt.Sprintf("the score file %q cannot be used; the log says why", path.Base(s.Score))
	case noPeer:
		return "the nodes cannot reach each other: rank 0 listens on MASTER_PORT of its node"
	}
	return ""
}

// Unit is what the items are called.
func (s Spec) Unit() string {
	if s.Items == "files" {
		return "files"
	}
	return "items"
}

// Progress says how far a batch has come: "1,200 of 5,000 files, 3 failed".
func Progress(unit string, metrics map[string]float64) string {
	text := number(metrics["scored"]+metrics["failed"]) + " of " + counted(metrics["items"], unit)
	if n := metrics["failed"]; n > 0 {
		text += ", " + number(n) + " failed"
	}
	return text
}

func counted(n float64, unit string) string {
	if n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return number(n) + " " + unit
}

// number has commas between thousands, as the script's have.
func number(n float64) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
