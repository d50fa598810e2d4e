package plan

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// defaultGrace is how long a job may take to end after it was asked to.
const defaultGrace = 10 * time.Second

// stage decides all that can be decided about one stage.
func (c *compiler) stage(s *schema.Stage, finally bool) *Stage {
	out := &Stage{Name: s.Name, Finally: finally, At: c.p.Source.KeyAt(s.Path), Grace: Duration(defaultGrace)}
	b := c.layered(s, out)
	b.condition()
	b.fan()
	b.until()
	b.sweep()
	b.does()
	b.retry()
	if out.Approve == nil && out.Nested == nil {
		b.variables()
		b.runtime()
		b.places() // of what was asked for, so it comes late
		b.deals()
	} else {
		b.groups()
	}
	out.Needs = b.needs.list()
	out.Places = b.keys()
	return out
}

// does compiles what the stage does.
func (b *staging) does() {
	l, out := b.kind(), b.out
	switch s := l.s; {
	case s.Approve != nil:
		out.Approve = b.approve(l, s.Approve)
	case s.Nested != nil:
		out.Nested = b.nested(l, s)
		if l.depth == 0 {
			b.readLate(out.Nested.Late)
		}
	case s.Deploy != nil:
		b.deploy(l)
	case s.Batch != nil:
		b.batch(l)
		out.Outputs, out.Metrics = declared(s.Outputs), declared(s.Metrics)
	default:
		for i, arg := range s.Command {
			r := b.read(l, b.text(l, fmt.Sprintf("%s/command/%d", s.Path, i), arg))
			out.Command = append(out.Command, r.Value)
		}
		out.Script = b.script(l, s.Path+"/run", s.Run)
		out.Outputs, out.Metrics = declared(s.Outputs), declared(s.Metrics)
		b.registered()
	}
}

func (b *staging) approve(l *layer, a *schema.Approve) *Approve {
	out := &Approve{Timeout: Duration(a.Timeout)}
	for _, name := range a.By {
		people, isGroup := b.w.Groups[name]
		if !isGroup {
			people = []string{name}
		}
		for _, person := range people {
			if !slices.Contains(out.By, person) {
				out.By = append(out.By, person)
			}
		}
	}
	if a.Message != "" {
		message := b.read(l, b.text(l, l.s.Path+"/approve/message", a.Message)).Value
		out.Message = &message
	}
	return out
}

func (b *staging) retry() {
	r := b.says("retry").s.Retry
	b.out.Retry = Retry{Attempts: max(r.Attempts, 1), Backoff: Duration(r.Backoff), On: r.On, Budgets: r.Budgets, Grow: r.Grow}
	b.checkpoint()
	b.out.Timeout, b.out.Queue = Duration(b.says("timeout").s.Timeout), Duration(b.says("queue_timeout").s.Queue)
	b.out.Priority = b.says("priority").s.Priority
	if cache := b.says("cache").s.Cache; cache != nil && cache.Use && !b.o.NoCache[""] && !b.o.NoCache[b.prefix+b.out.Name] {
		b.out.Cache = &Cache{MaxAge: Duration(cache.MaxAge)}
	}
}

// checkpoint is what the stage says of its checkpoints, or the template that does.
func (b *staging) checkpoint() {
	l := b.says("checkpoint")
	if c := l.s.Checkpoint; c != nil {
		b.out.Checkpoint = &Checkpoint{Path: path.Clean(c.Folder), Keep: c.Keep}
	}
}

// variables are what a job is given: inputs, environment variables, secrets and code.
func (b *staging) variables() {
	for _, in := range b.merged(func(s *schema.Stage) []schema.Named { return s.Inputs }) {
		r := b.read(in.layer, b.text(in.layer, in.Path, in.Text))
		if r.Expr != "" {
			b.late("inputs/"+in.Name, in)
		}
		given := Input{Name: in.Name, Artifact: r.artifact, List: r.artifacts, Value: r.Value}
		if m, v := b.ofRegistry(in.layer, in.Path, in.Text, r.Value, false); m != nil {
			given.Artifact, given.Model, given.Value = true, m, v
		}
		b.out.Inputs = append(b.out.Inputs, given)
	}
	b.batchInputs()
	var env []Var
	for _, e := range b.merged(func(s *schema.Stage) []schema.Named { return s.Env }) {
		r := b.read(e.layer, b.text(e.layer, e.Path, e.Text))
		if r.Expr != "" {
			b.late("env/"+e.Name, e)
		}
		env = append(env, Var{Name: e.Name, Value: r.Value})
	}
	b.out.Env = append(env, b.out.Env...) // those of the script come last
	for _, s := range b.merged(func(s *schema.Stage) []schema.Named { return s.Secrets }) {
		if s.layer.s.Deploy != nil || b.out.Deploy != nil {
			b.bad(s.layer, s.Path, "target-cannot", fmt.Sprintf("stage %q deploys, and a deployment cannot be given secrets", b.out.Name), "let the server read them from a file of its target")
			continue
		}
		b.secret(s)
	}
	top := b.layers[0]
	b.out.folder = folderOf(top.p, top.s)
}

// late notes where something is written that is evaluated during the run.
func (b *staging) late(key string, at one) {
	if b.evaluated == nil {
		b.evaluated = map[string]one{}
	}
	b.evaluated[key] = at
}

func (b *staging) secret(s one) {
	for _, kept := range b.w.Secrets {
		if kept.Name == s.Text {
			b.out.Secrets = append(b.out.Secrets, Secret{Var: s.Name, Name: kept.Name, Env: kept.Env, File: kept.File, Store: kept.Store})
		}
	}
}

// runtime is the software that the stage asks for. The image is decided with the
// place, since it may differ between combinations.
func (b *staging) runtime() {
	l := b.says("environment")
	python := l.s.Environment.Python
	if python == nil {
		return
	}
	p := &target.Python{Version: python.Version, Packages: python.Packages}
	if python.Requirements != "" {
		p.Requirements = b.textFile(l, l.s.At("environment")+"/python/requirements", python.Requirements)
	}
	b.out.Runtime = &target.Environment{Python: p}
}

// maxFile bounds a file that becomes part of the plan.
const maxFile = 256 << 10

// textFile reads a file of the stage's code into the plan.
func (b *staging) textFile(l *layer, at, name string) string {
	files, folder := b.code()
	if files == nil {
		return ""
	}
	text, err := fs.ReadFile(files, path.Join(folder, name))
	switch {
	case err != nil:
		b.bad(l, at, "missing-file", fmt.Sprintf("there is no file %q in the stage's code", name), "write a path relative to the folder that the stage runs in")
	case len(text) > maxFile:
		b.bad(l, at, "too-large", fmt.Sprintf("%q has %d bytes, and at most %d become part of a plan", name, len(text), maxFile), "make it smaller")
	default:
		return string(text)
	}
	return ""
}

func declared(ds []schema.Declared) []Output {
	var out []Output
	for _, d := range ds {
		out = append(out, Output{Name: d.Name, Type: string(d.Type)})
	}
	return out
}

// blamed are the keys of a stage that a failure may point at, each with the keys
// below it that may be meant too.
var blamed = map[string][]string{
	"run": nil, "command": nil, "timeout": nil, "queue_timeout": nil, "retry": nil, "outputs": nil, "if": nil, "approve": nil, "pipeline": nil, "until": nil, "each": nil, "matrix": nil, "sweep": nil,
	"with": nil, "environment": nil, "secrets": nil, "uses": nil, "resources": {"memory"}, "deploy": {"model", "sample", "rollback"}, "batch": {"score", "error_threshold"},
}

// keys remembers where the keys are written that a failure may point at.
func (b *staging) keys() map[string]string {
	m := map[string]string{}
	for i := len(b.layers) - 1; i >= 0; i-- { // what an outer layer says counts
		l := b.layers[i]
		for _, key := range l.p.Source.Keys(l.s.Path) {
			below, wanted := blamed[key]
			if wanted && key != "resources" {
				b.key(m, l, key, l.s.Path+"/"+key)
			}
			for _, inner := range below {
				at := l.s.Path + "/" + key + "/" + inner
				if _, said := l.p.Source.Value(at); said {
					b.key(m, l, key+"/"+inner, at)
				}
			}
		}
	}
	for _, key := range []string{"timeout", "queue_timeout", "retry", "environment", "resources/memory"} {
		if top := b.layers[0]; m[key] == "" && top.s.At(key) != top.s.Path+"/"+key {
			b.key(m, top, key, top.s.At(key))
		}
	}
	for key, e := range b.evaluated {
		b.key(m, e.layer, key, e.Path)
	}
	for _, does := range []string{"command", "batch", "deploy", "approve", "pipeline"} {
		if at, ok := m[does]; ok {
			m["run"] = at
		}
	}
	return m
}

// key notes the place of one.
func (b *staging) key(m map[string]string, l *layer, name, at string) {
	pos := l.p.Source.KeyAt(at)
	m[name] = strconv.Itoa(pos.Line) + ":" + strconv.Itoa(pos.Col)
	if pos.File != b.out.At.File {
		m[name] = pos.File + ":" + m[name]
	}
}

// condition decides, or leaves to the run, whether the stage runs.
func (b *staging) condition() {
	l := b.says("if")
	if l.s.If == "" {
		return
	}
	v := b.read(l, b.value(l, l.s.Path+"/if", l.s.If))
	b.out.If = &Condition{Expr: v.Expr, Depth: v.Depth, Anyway: len(v.calls) > 0, Item: v.item}
	if v.Expr == "" {
		b.out.If.Known, _ = v.Known.(bool)
		if s, ok := v.Known.(string); ok {
			b.out.If.Known = s == "true"
		}
	}
}

// script moves the expressions of a shell script into variables.
func (b *staging) script(l *layer, at, text string) string {
	if text == "" {
		return ""
	}
	script, errs := expr.EmbedShell(text)
	if len(errs) > 0 {
		return "" // schema.Check has reported them, with their places
	}
	for _, v := range script.Vars {
		got := b.read(l, b.text(l, at, "${{ "+v.Expr+" }}"))
		b.out.Env = append(b.out.Env, Var{Name: v.Name, Value: got.Value})
	}
	return script.Text
}

func (c *compiler) bad(l *layer, at string, code diag.Code, message, hint string) {
	s := l.p.Source
	c.find(diag.Finding{Pos: s.At(at), Width: s.Width(at), Path: at, Code: code, Message: message, Hint: hint})
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
