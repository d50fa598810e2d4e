// Package schema is the language of amlflow: it reads pipeline and workspace files
// and finds every mistake in them that can be known without a machine.
package schema

import (
	"fmt"
	"io/fs"
	"unicode/utf8"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

// rules are what Check looks at, in this order. Later rules use what earlier ones
// have gathered: expressions say which stages read each other and which parameters
// are used.
var rules = []struct {
	what  string
	check func(*checker)
}{
	{"no two names become the same", (*checker).clashes},
	{"parameters keep their own bounds", (*checker).params},
	{"times, sizes and causes make sense", (*checker).amounts},
	{"environment variables are the user's to set", (*checker).environment},
	{"expressions use what there is, where it is known, as what it is", (*checker).expressions},
	{"what templates and pipelines are given fits them", (*checker).uses},
	{"stages run over something", (*checker).fanOut},
	{"batches have items that fit, and one output", (*checker).batches},
	{"models are outputs, under names that can be", (*checker).models},
	{"stages tune what they declare", (*checker).sweeps},
	{"requests move step by step, and for a reason", (*checker).rollouts},
	{"secrets are the workspace's", (*checker).secrets},
	{"who approves is known", (*checker).approvers},
	{"needs name stages that can be waited for", (*checker).needs},
	{"no stage waits for itself", (*checker).cycles},
	{"targets exist", (*checker).targets},
	{"profiles give parameters values that fit", (*checker).profiles},
	{"schedules have times, and give runs what fits", (*checker).schedules},
	{"files that stages name are there", (*checker).files},
	{"keys suit what the stage does", (*checker).suits},
	{"nothing is written in vain", (*checker).vain},
}

// Check finds what is wrong with a pipeline in its workspace, and with what it uses,
// beyond what ReadPipeline, ReadWorkspace and Link have reported already. Files is the
// pipeline's folder; nil leaves out the rules that look into it. The findings are
// sorted.
func Check(p *Pipeline, w *Workspace, files fs.FS) diag.Findings {
	if w == nil {
		w = DefaultWorkspace("")
	}
	all := &checked{w: w, seen: map[any]bool{}}
	all.pipeline(p, files)
	return all.findings.Sort()
}

// Check finds what is wrong with a template by itself; see the function Check.
func (t *Template) Check(w *Workspace) diag.Findings {
	if w == nil {
		w = DefaultWorkspace("")
	}
	all := &checked{w: w, seen: map[any]bool{}}
	all.template(t)
	return all.findings.Sort()
}

// checked goes through a file and those that it uses, the used ones first: what they
// decide early is known then.
type checked struct {
	w        *Workspace
	seen     map[any]bool
	findings diag.Findings
}

func (a *checked) pipeline(p *Pipeline, files fs.FS) {
	if p.Source.root == nil || a.seen[p] {
		return
	}
	a.seen[p] = true
	for _, s := range p.all() {
		switch {
		case s.Template != nil:
			a.template(s.Template)
		case s.Nested != nil:
			a.pipeline(s.Nested, s.Nested.Import.Files)
		}
	}
	c := &checker{p: p, w: a.w, folder: files, all: p.all(), edges: map[string][]edge{}, used: map[string]bool{}, once: map[string]bool{}, compiled: map[compiled]*expr.Compiled{}, early: map[string]bool{}}
	for _, rule := range rules {
		rule.check(c)
	}
	p.early = c.early
	a.findings = append(a.findings, enough(c.findings)...)
}

func (a *checked) template(t *Template) {
	if !a.seen[t] {
		a.seen[t] = true
		a.pipeline(t.Alone(), t.Import.Files)
	}
}

type checker struct {
	p        *Pipeline
	w        *Workspace
	folder   fs.FS
	nearest  nearest
	wanting  wanting
	findings diag.Findings

	all     []*Stage
	edges   map[string][]edge // which stages each stage waits for
	reports int               // errors of expressions so far
	steps   int               // instructions of the patterns so far
	answers int               // combinations held against what is excluded so far
	once    map[string]bool   // texts of the defaults that were checked

	compiled map[compiled]*expr.Compiled
	loose    int             // expressions without their braces so far
	used     map[string]bool // params that expressions read
	early    map[string]bool // params that decide something before the run
	allUsed  bool            // one reads params as a whole
	read     reads           // results that expressions read
}

// edge is one reason to wait for a stage, and where it is written.
type edge struct {
	to    string
	at    diag.Pos
	width int
	path  string
	data  bool // for its results, without which there is nothing to do
}

func (c *checker) stages() []*Stage { return c.all }

// all are the stages of the file, those of `finally` last.
func (p *Pipeline) all() []*Stage {
	all := make([]*Stage, 0, len(p.Stages)+len(p.Finally))
	for i := range p.Stages {
		all = append(all, &p.Stages[i])
	}
	for i := range p.Finally {
		all = append(all, &p.Finally[i])
	}
	return all
}

func (c *checker) find(f diag.Finding) {
	if f.Severity == "" {
		f.Severity = diag.Error
	}
	c.findings = append(c.findings, f)
}

// value reports the value at path of the pipeline.
func (c *checker) value(code diag.Code, path, hint, format string, args ...any) {
	s := c.p.Source
	c.find(diag.Finding{Pos: s.At(path), Width: s.Width(path), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Path: path})
}

// key reports the key that path ends with.
func (c *checker) key(code diag.Code, path, hint, format string, args ...any) {
	c.find(c.atKey(code, path, hint, format, args...))
}

func (c *checker) atKey(code diag.Code, path, hint, format string, args ...any) diag.Finding {
	s := c.p.Source
	return diag.Finding{Pos: s.KeyAt(path), Width: s.KeyWidth(path), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Path: path}
}

// advise reports the key that path ends with, without stopping a run.
func (c *checker) advise(code diag.Code, path, hint, format string, args ...any) {
	f := c.atKey(code, path, hint, format, args...)
	f.Severity = diag.Warning
	c.find(f)
}

// adviseValue reports the value at path, without stopping a run.
func (c *checker) adviseValue(code diag.Code, path, hint, format string, args ...any) {
	c.value(code, path, hint, format, args...)
	c.findings[len(c.findings)-1].Severity = diag.Warning
}

// within reports bytes from to end of the text at path.
func (c *checker) within(code diag.Code, path string, from, end int, hint, message string) {
	s := c.p.Source
	f := diag.Finding{Pos: s.Within(path, from), Code: code, Message: message, Hint: hint, Path: path}
	if text, _ := s.Text(path); from >= 0 && end > from && end <= len(text) {
		f.Width = utf8.RuneCountInString(text[from:end])
		if last := s.Within(path, end); last.Line == f.Line && last.Col > f.Col {
			f.Width = last.Col - f.Col
		}
	}
	c.find(f)
}
