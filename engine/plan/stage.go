package plan

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// What a stage gets when it does not say.
const (
	defaultGrace  = 10 * time.Second
	defaultReady  = 60 * time.Second
	defaultHealth = "/health"
	defaultPath   = "/score"
)

// stage decides all that can be decided about one stage.
func (c *compiler) stage(s *schema.Stage, finally bool) *Stage {
	st := &Stage{
		Name: s.Name, Finally: finally, At: c.p.Source.KeyAt(s.Path), Code: c.o.Code[s.Code],
		Timeout: Duration(s.Timeout), Grace: Duration(defaultGrace),
		Retry: Retry{Attempts: max(s.Retry.Attempts, 1), Backoff: Duration(s.Retry.Backoff), On: s.Retry.On},
	}
	n := &needs{stage: s.Name, order: s.Needs}
	scope := c.p.Scope(s)
	c.asks(s, st)
	c.condition(scope, s, st, n)
	for _, in := range s.Inputs {
		v := c.text(scope, s.Path+"/inputs/"+pointer(in.Name), in.Text)
		n.read(v.refs)
		st.Inputs = append(st.Inputs, Input{Name: in.Name, Artifact: v.artifact, Value: v.Value})
	}
	for _, e := range s.Env {
		v := c.text(scope, s.Path+"/env/"+pointer(e.Name), e.Text)
		n.read(v.refs)
		st.Env = append(st.Env, Var{Name: e.Name, Value: v.Value})
	}
	for i, arg := range s.Command {
		v := c.text(scope, fmt.Sprintf("%s/command/%d", s.Path, i), arg)
		n.read(v.refs)
		st.Command = append(st.Command, v.Value)
	}
	st.Script = c.script(scope, s.Path+"/run", s.Run, st, n)
	st.Outputs, st.Metrics = declared(s.Outputs), declared(s.Metrics)
	c.deploy(scope, s, st, n)
	c.targets(s, st) // last: it looks at what the stage asks of them
	st.Needs = n.list()
	st.Places = c.places(s, st)
	return st
}

func declared(ds []schema.Declared) []Output {
	var out []Output
	for _, d := range ds {
		out = append(out, Output{Name: d.Name, Type: string(d.Type)})
	}
	return out
}

// places remembers where the keys are written that a failure may point at.
func (c *compiler) places(s *schema.Stage, st *Stage) map[string]string {
	m := map[string]string{}
	keys := []string{"run", "command", "timeout", "retry", "outputs", "resources/memory", "if", "deploy", "deploy/model", "deploy/sample"}
	for _, v := range st.Env {
		if v.Expr != "" {
			keys = append(keys, "env/"+v.Name)
		}
	}
	for _, v := range st.Inputs {
		if v.Expr != "" {
			keys = append(keys, "inputs/"+v.Name)
		}
	}
	for _, key := range keys {
		if _, ok := c.p.Source.Value(s.Path + "/" + key); ok {
			at := c.p.Source.KeyAt(s.Path + "/" + key)
			m[key] = fmt.Sprintf("%d:%d", at.Line, at.Col)
		}
	}
	if at, ok := m["command"]; ok {
		m["run"] = at
	}
	if at, ok := m["deploy"]; ok {
		m["run"] = at
	}
	return m
}

// needs gathers what a stage waits for, in the order of first mention.
type needs struct {
	stage string
	order []string        // by `needs`
	read_ []string        // by reference
	data  map[string]bool // referenced without a default
}

func (n *needs) read(refs []expr.Ref) {
	for _, r := range refs {
		if len(r.Path) < 2 || r.Path[0] != "stages" {
			continue
		}
		name := r.Path[1]
		if !slices.Contains(n.read_, name) {
			n.read_ = append(n.read_, name)
		}
		if n.data == nil {
			n.data = map[string]bool{}
		}
		// A status exists whatever became of the stage; a result may not.
		if len(r.Path) > 2 && r.Path[2] != "status" && !r.Defaulted {
			n.data[name] = true
		}
	}
}

func (n *needs) list() []Need {
	var out []Need
	for _, name := range append(slices.Clone(n.order), n.read_...) {
		if !slices.ContainsFunc(out, func(x Need) bool { return x.Stage == name }) {
			out = append(out, Need{Stage: name, Data: n.data[name]})
		}
	}
	return out
}

func (c *compiler) condition(scope expr.Scope, s *schema.Stage, st *Stage, n *needs) {
	if s.If == "" {
		return
	}
	v := c.value(scope, s.Path+"/if", s.If)
	n.read(v.refs)
	st.If = &Condition{Expr: v.Expr, Anyway: len(v.calls) > 0}
	if v.Expr == "" {
		st.If.Known, _ = v.Known.(bool)
		if s, ok := v.Known.(string); ok {
			st.If.Known = s == "true"
		}
	}
}

// script moves the expressions of a shell script into variables.
func (c *compiler) script(scope expr.Scope, at, text string, st *Stage, n *needs) string {
	if text == "" {
		return ""
	}
	script, errs := expr.EmbedShell(text)
	if len(errs) > 0 {
		return "" // schema.Check has reported them, with their places
	}
	for _, v := range script.Vars {
		got := c.text(scope, at, "${{ "+v.Expr+" }}")
		n.read(got.refs)
		st.Env = append(st.Env, Var{Name: v.Name, Value: got.Value})
	}
	return script.Text
}

// asks reads the resources, which may depend on params but not on the run.
func (c *compiler) asks(s *schema.Stage, st *Stage) {
	at := s.Path + "/resources"
	if v, ok := c.amount(at+"/cpus", s.Resources.CPUs); ok {
		st.Asks.CPUs = v
	}
	if v, ok := c.amount(at+"/nodes", s.Resources.Nodes); ok {
		st.Asks.Nodes = int(v)
		if v != math.Trunc(v) || v < 1 || v > 10_000 {
			c.bad(at+"/nodes", "bad-amount", fmt.Sprintf("a stage cannot run on %v nodes", v), "write a whole number from 1 on")
		}
	}
	text, ok := c.now(at+"/memory", s.Resources.Memory)
	if !ok || text == "" {
		return
	}
	size, err := schema.ParseBytes(text)
	if err != nil {
		c.bad(at+"/memory", "bad-amount", err.Error(), "write bytes with a unit, for example 512Mi or 4Gi")
	}
	st.Asks.Memory = size
}

func (c *compiler) amount(at, text string) (float64, bool) {
	text, ok := c.now(at, text)
	if !ok || text == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		c.bad(at, "bad-amount", fmt.Sprintf("%q is not an amount", text), "write a number above zero")
		return 0, false
	}
	return v, true
}

func (c *compiler) deploy(scope expr.Scope, s *schema.Stage, st *Stage, n *needs) {
	if s.Deploy == nil {
		return
	}
	d, at := s.Deploy, s.Path+"/deploy"
	out := &Deploy{Score: d.Score, Instances: 1, Health: or(d.Health, defaultHealth), Path: or(d.Path, defaultPath), Ready: Duration(defaultReady)}
	if d.Ready > 0 {
		out.Ready = Duration(d.Ready)
	}
	if name, ok := c.now(at+"/endpoint", d.Endpoint); ok {
		if out.Endpoint = name; !schema.ValidName(name) {
			c.bad(at+"/endpoint", "bad-name", fmt.Sprintf("an endpoint cannot be named %q", name), "use small letters, digits, and . _ - between them, at most 63")
		}
	}
	if v, ok := c.amount(at+"/instances", d.Instances); ok {
		if out.Instances = int(v); v != math.Trunc(v) || v > 1000 {
			c.bad(at+"/instances", "bad-amount", fmt.Sprintf("an endpoint cannot have %v instances", v), "write a whole number from 1 to 1000")
		}
	}
	if d.Model != "" {
		v := c.text(scope, at+"/model", d.Model)
		n.read(v.refs)
		out.Model = &v.Value
	}
	out.Script = c.script(scope, at+"/run", d.Run, st, n)
	out.Sample = c.sample(s)
	st.Deploy = out
}

// sample reads the request, and the answer that it must get, into the plan.
func (c *compiler) sample(s *schema.Stage) *target.Sample {
	d, at := s.Deploy, s.Path+"/deploy"
	if d.Sample == "" || c.o.Files == nil {
		return nil
	}
	return &target.Sample{Request: c.json(s, at+"/sample", d.Sample), Answer: c.json(s, at+"/answer", d.Answer)}
}

func (c *compiler) json(s *schema.Stage, at, name string) json.RawMessage {
	if name == "" {
		return nil
	}
	text, err := fs.ReadFile(c.o.Files, path.Join(s.Code, name))
	if err != nil {
		c.bad(at, "missing-file", fmt.Sprintf("there is no file %q in the stage's code", name), "write a path relative to the pipeline's folder, or to `code`")
		return nil
	}
	if !json.Valid(text) {
		c.bad(at, "not-json", fmt.Sprintf("%q does not hold JSON", name), "")
		return nil
	}
	var compact json.RawMessage = text
	if b, err := json.Marshal(compact); err == nil {
		compact = b
	}
	return compact
}

func (c *compiler) bad(at string, code diag.Code, message, hint string) {
	c.find(diag.Finding{Pos: c.p.Source.At(at), Path: at, Code: code, Message: message, Hint: hint})
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
