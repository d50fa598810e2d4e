package plan

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/batch"
	"github.com/amlflow/amlflow/workers/target"
)

// Batch is what is scored in mini-batches, as far as it is known before the run. What it is
// over, and the model, are inputs of the stage.
type Batch struct {
	Items     string   `json:"items"` // files, lines, csv or jsonl
	Size      int      `json:"size,omitempty"`
	Bytes     int64    `json:"bytes,omitempty"` // instead of Size
	Processes int      `json:"processes"`       // on each node
	Parallel  int      `json:"parallel,omitempty"`
	Threshold int      `json:"error_threshold"`
	Retries   int      `json:"retries"`
	Timeout   Duration `json:"timeout,omitempty"`
	Append    string   `json:"append"`
	Score     string   `json:"score"`
	Output    string   `json:"output"`
	Folder    bool     `json:"folder,omitempty"` // Output is one
}

// What a batch gets when it does not say.
const (
	defaultFiles = 10
	defaultLines = 1000
)

func (b *staging) batch(l *layer) {
	s := l.s.Batch
	out := &Batch{Items: s.Items, Retries: s.Retries, Timeout: Duration(s.Timeout), Append: s.Append, Score: s.Score}
	if out.Items == "" {
		if out.Items = "files"; b.kindOf(l, s.Over) == expr.File {
			out.Items = "lines"
		}
	}
	b.batchSize(l, out)
	b.threshold(l, out)
	for _, o := range l.s.Outputs {
		out.Output, out.Folder = o.Name, o.Type == schema.Folder
	}
	b.out.Batch = out
}

// kindOf is what an expression gives, as far as that is known before the run.
func (b *staging) kindOf(l *layer, text string) expr.Kind {
	t, errs := expr.Split(text)
	part, single := t.Single()
	if len(errs) > 0 || !single {
		return expr.Any
	}
	x, errs := expr.Compile(part.Expr, l.scope, expr.Type{})
	if len(errs) > 0 {
		return expr.Any
	}
	return x.Type.Kind
}

var number = regexp.MustCompile(`^([0-9]+)( ?(?:file|item|line)s?)?$`)

func (b *staging) batchSize(l *layer, out *Batch) {
	at := l.s.Path + "/batch/size"
	out.Size = defaultLines
	if out.Items == "files" {
		out.Size = defaultFiles
	}
	text, ok := b.now(l, at, l.s.Batch.Size)
	if !ok || text == "" {
		return
	}
	if m := number.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if out.Size = n; err != nil || n < 1 {
			b.bad(l, at, "bad-amount", fmt.Sprintf("a mini-batch cannot have %s items", m[1]), "write a whole number from 1 on")
		}
		return
	}
	bytes, err := schema.ParseBytes(text)
	if err != nil || bytes < 1 {
		b.bad(l, at, "bad-amount", fmt.Sprintf("%q is not the size of a mini-batch", text), "write a number of items, or bytes with a unit, for example 64Mi")
	}
	out.Size, out.Bytes = 0, bytes
}

func (b *staging) threshold(l *layer, out *Batch) {
	at := l.s.Path + "/batch/error_threshold"
	text, ok := b.now(l, at, l.s.Batch.Threshold)
	if !ok || text == "" {
		return
	}
	v, err := strconv.ParseFloat(text, 64)
	if out.Threshold = int(v); err != nil || v != math.Trunc(v) || v < -1 || v > math.MaxInt32 {
		b.bad(l, at, "bad-amount", fmt.Sprintf("%.40s items cannot be allowed to fail", text), "write a whole number from 0 on, or -1 for any number")
	}
}

// batchInputs gives the job what it scores, and the model.
func (b *staging) batchInputs() {
	l := b.kind()
	if l.s.Batch == nil {
		return
	}
	at := l.s.Path + "/batch"
	b.batchInput(l, batch.Input, at+"/over", l.s.Batch.Over)
	if l.s.Batch.Model != "" {
		b.batchInput(l, batch.Model, at+"/model", l.s.Batch.Model)
	}
}

func (b *staging) batchInput(l *layer, name, at, text string) {
	r := b.read(l, b.text(l, at, text))
	if r.Expr != "" {
		b.late("inputs/"+name, one{schema.Named{Name: name, Text: text, Path: at}, l})
	}
	in := Input{Name: name, Artifact: true, Value: r.Value}
	if m, v := b.ofRegistry(l, at, text, r.Value, true); m != nil {
		in.Model, in.Value = m, v
	}
	b.out.Inputs = append(b.out.Inputs, in)
}

// deals decides how many processes score, which is a matter of how many nodes there are,
// and whether another attempt can go on from what this one has scored: targets that keep
// checkpoints keep it.
func (b *staging) deals() {
	l, out := b.kind(), b.out.Batch
	if out == nil {
		return
	}
	at := l.s.Path + "/batch"
	whole := func(key, text string) int {
		v, ok := b.amount(l, at+"/"+key, text)
		if ok && (v != math.Trunc(v) || v > mostProcesses) {
			b.bad(l, at+"/"+key, "bad-amount", fmt.Sprintf("%v mini-batches cannot be scored at once", v), fmt.Sprintf("write a whole number from 1 to %d", mostProcesses))
		}
		return int(v)
	}
	out.Parallel, out.Processes = whole("parallel", l.s.Batch.Parallel), whole("processes_per_node", l.s.Batch.Processes)
	nodes, key := max(b.out.Asks.Nodes, 1), "/processes_per_node"
	if out.Processes == 0 {
		out.Processes, key = max((out.Parallel+nodes-1)/nodes, 1), "/parallel"
	}
	if out.Processes > mostPerNode && out.Processes <= mostProcesses && out.Parallel <= mostProcesses {
		b.bad(l, at+key, "bad-amount", fmt.Sprintf("%d processes cannot score on one node", out.Processes), fmt.Sprintf("ask for at most %d on each node", mostPerNode))
	}
	if b.keep(b.out.Targets) && (b.out.Fan == nil || !slices.ContainsFunc(b.out.Fan.Items, func(i Item) bool { return i.Own != nil && !b.keep(i.Own.Targets) })) {
		b.out.Checkpoint = &Checkpoint{Path: batch.Folder, Keep: batch.Keep}
	}
}

// keep reports whether all of some targets keep checkpoints.
func (b *staging) keep(targets []target.Target) bool {
	return !slices.ContainsFunc(targets, func(t target.Target) bool { return !b.o.Drivers[t.Kind].Can(t).Checkpoints })
}
