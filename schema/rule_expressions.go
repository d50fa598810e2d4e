package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/expr"
)

// place is a text that may hold expressions, and what may be in them.
type place struct {
	path  string
	text  string
	stage *Stage    // nil for the pipeline's outputs
	want  expr.Type // of the whole text, when it is one expression

	size      bool      // text or a whole number of bytes
	early     bool      // decided before the run: params and matrix only
	own       bool      // speaks of the stage's own results; see Pipeline.UntilScope
	alone     bool      // sees what other stages do not, so that it is no reason to wait: matrix values
	measured  measuring // speaks of what an endpoint has measured; see Pipeline.CheckScope
	condition bool      // may ask always() and failed()
	bare      bool      // becomes text for a program, where an artifact means nothing

	argument string // the parameter that the text is the value of, in words
}

// expressions checks every text that may hold an expression.
func (c *checker) expressions() {
	for _, s := range c.stages() {
		c.condition(s)
		c.decided(s)
		for _, in := range s.Inputs {
			c.text(place{path: in.Path, text: in.Text, stage: s})
		}
		for _, e := range s.Env {
			c.text(place{path: e.Path, text: e.Text, stage: s, bare: true})
		}
		for i, arg := range s.Command {
			c.text(place{path: fmt.Sprintf("%s/command/%d", s.Path, i), text: arg, stage: s, bare: true})
		}
		c.script(place{path: s.Path + "/run", text: s.Run, stage: s, bare: true})
		if s.Batch != nil {
			c.batched(s)
		}
		if s.Deploy != nil {
			c.deployed(s)
			c.script(place{path: s.Path + "/deploy/run", text: s.Deploy.Run, stage: s, bare: true})
		}
		if s.Approve != nil {
			c.text(place{path: s.Path + "/approve/message", text: s.Approve.Message, stage: s, bare: true})
		}
	}
	for _, out := range c.p.Outputs {
		c.text(place{path: out.Path, text: out.Text})
	}
	c.group(c.p.Concurrency, nil)
}

// decided checks the texts that are decided before the run.
func (c *checker) decided(s *Stage) {
	c.target(s)
	now := func(key, text string, want expr.Kind) {
		c.text(place{path: s.At(key), text: text, stage: s, early: true, want: expr.Type{Kind: want}})
	}
	now("resources/cpus", s.Resources.CPUs, expr.Number)
	now("resources/gpus", s.Resources.GPUs, expr.Int)
	now("resources/nodes", s.Resources.Nodes, expr.Int)
	c.text(place{path: s.At("resources/memory"), text: s.Resources.Memory, stage: s, early: true, size: true})
	if s.Launch != nil {
		now("launch/processes_per_node", s.Launch.Processes, expr.Int)
	}
	now("parallel", s.Parallel, expr.Int)
	if s.Environment.Image != "" {
		c.text(place{path: s.At("environment/image"), text: s.Environment.Image, stage: s, early: true, want: expr.Type{Kind: expr.Text}})
	}
	c.group(s.Concurrency, s)
	if b := s.Batch; b != nil {
		now("batch/parallel", b.Parallel, expr.Int)
		now("batch/processes_per_node", b.Processes, expr.Int)
		now("batch/error_threshold", b.Threshold, expr.Int)
		c.text(place{path: s.Path + "/batch/size", text: b.Size, stage: s, early: true, size: true})
	}
	if s.Deploy != nil {
		now("deploy/endpoint", s.Deploy.Endpoint, expr.Text)
		now("deploy/instances", s.Deploy.Instances, expr.Int)
	}
}

func (c *checker) group(g *Concurrency, s *Stage) {
	if g != nil {
		c.text(place{path: g.Path, text: g.Group, stage: s, early: true, bare: true})
	}
}

func (c *checker) target(s *Stage) {
	if at := s.At("target"); c.once[at] {
		return
	} else if strings.HasPrefix(at, "/defaults/") && !slices.ContainsFunc(s.Target, isExpression) {
		c.once[at] = true
	}
	for i, name := range s.Target {
		c.text(place{path: c.targetAt(s, i), text: name, stage: s, early: true, want: expr.Type{Kind: expr.Text}})
	}
}

// truths are words that other tools read as true or false, in small letters.
var truths = map[string]string{"yes": "true", "on": "true", "y": "true", "true": "true", "no": "false", "off": "false", "n": "false", "false": "false"}

// condition checks `if`, which is one expression and nothing around it.
func (c *checker) condition(s *Stage) {
	path := s.Path + "/if"
	if _, isBool := c.valueOf(path).(bool); isBool || c.valueOf(path) == nil {
		return
	}
	t, errs := expr.Split(s.If)
	_, single := t.Single()
	switch {
	case len(errs) == 0 && t.IsLiteral():
		cure := fmt.Sprintf("write ${{ %s }}", shorten(strings.Trim(s.If, "{} ")))
		if truth := truths[strings.ToLower(s.If)]; truth != "" {
			cure = "write " + truth
		}
		c.value("unwrapped-expression", path, cure, "the condition of stage %q is text, not an expression", s.Name)
		return
	case len(errs) == 0 && !single:
		c.value("unwrapped-expression", path, "put the whole condition inside one ${{ }}", "the condition of stage %q has text around its expression, so it is never true or false", s.Name)
	}
	want := expr.Type{Kind: expr.Bool}
	if !single {
		want = expr.Type{}
	}
	c.text(place{path: path, text: s.If, stage: s, want: want, condition: true})
}

// text checks a text whose expressions become its value.
func (c *checker) text(p place) {
	if p.text == "" || p.text == refused || c.again(p) {
		return
	}
	t, errs := expr.Split(p.text)
	for _, e := range errs {
		c.report(p, e)
	}
	if len(errs) == 0 && !c.once[p.path] {
		c.once[p.path] = strings.HasPrefix(p.path, "/defaults/")
		c.unwrapped(p, t.IsLiteral())
	}
	want := p.want
	if _, single := t.Single(); !single {
		want = expr.Type{}
	}
	for _, part := range t.Expressions() {
		c.expression(p, part.Expr, part.Offset, want)
	}
}

// again reports whether a text of the defaults was checked for another stage. With an
// expression in it, what it reads is a matter of each stage.
func (c *checker) again(p place) bool {
	if !strings.HasPrefix(p.path, "/defaults/") || isExpression(p.text) {
		return false
	}
	done := c.once[p.path]
	c.once[p.path] = true
	return done
}

// script checks a shell script, whose expressions become variables.
func (c *checker) script(p place) {
	if p.text == "" || p.text == refused {
		return
	}
	script, errs := expr.EmbedShell(p.text)
	for _, e := range errs {
		c.report(p, e)
	}
	if len(errs) == 0 {
		c.unwrapped(p, false)
	}
	wants := map[string]expr.Type{}
	for _, v := range script.Vars {
		wants[v.Expr] = expr.Type{}
		if v.Context == expr.Arithmetic {
			wants[v.Expr] = expr.Type{Kind: expr.Int}
		}
	}
	t, _ := expr.Split(p.text)
	for _, part := range t.Expressions() {
		want, used := wants[part.Expr]
		if used || len(errs) > 0 { // what stands in a comment is not evaluated
			c.expression(p, part.Expr, part.Offset, want)
		}
	}
}

// maxReports is how many mistakes in expressions are enough for one file. Each is
// compared with all names that there are.
const maxReports = 200

// few counts a finding that a file may give very often, and reports whether it is
// still worth saying.
func (c *checker) few() bool {
	c.reports++
	return c.reports <= maxReports
}

// expression checks one expression, which begins at offset of the place's text.
func (c *checker) expression(p place, src string, offset int, want expr.Type) {
	if c.reports > maxReports {
		return
	}
	x, errs := c.compile(p, src, want)
	for _, e := range errs {
		e.Offset, e.End = e.Offset+offset, e.End+offset
		c.report(p, e)
	}
	if x == nil {
		c.guessUse(src)
		return
	}
	for _, ref := range x.Refs {
		c.use(ref.Path)
		c.readResult(p, ref)
		c.edge(p, ref, offset)
		if p.early {
			c.decides(ref)
		}
	}
	c.rules(p, x, offset)
}

// compiled is an expression in a scope that many stages share.
type compiled struct {
	src  string
	last bool // among the stages of finally
	want expr.Kind
}

// compile compiles an expression in the scope of its place. What compiled before, in
// the same scope, is not compiled again: many stages say the same.
func (c *checker) compile(p place, src string, want expr.Type) (*expr.Compiled, []expr.Error) {
	switch {
	case p.own:
		return expr.Compile(src, c.p.UntilScope(p.stage), want)
	case p.measured != nowhere:
		return expr.Compile(src, c.p.CheckScope(p.stage, p.measured == inMirror), want)
	case p.alone:
		return expr.Compile(src, c.p.shared(p.stage), want)
	case p.stage != nil && p.stage.Several():
		return expr.Compile(src, c.p.Scope(p.stage), want)
	}
	key := compiled{src, p.stage != nil && c.p.inFinally(p.stage), want.Kind}
	if x := c.compiled[key]; x != nil {
		return x, nil
	}
	x, errs := expr.Compile(src, c.p.Scope(p.stage), want)
	if x != nil && len(c.compiled) < 1000 {
		c.compiled[key] = x
	}
	return x, errs
}

// decides notes that a parameter decides something before the run, so that whoever
// uses this file cannot give it a result of a stage.
func (c *checker) decides(ref expr.Ref) {
	if len(ref.Path) > 1 && ref.Path[0] == "params" {
		c.early[ref.Path[1]] = true
	}
}

// rules are those of the place rather than of the expression.
func (c *checker) rules(p place, x *expr.Compiled, offset int) {
	end := offset + len(x.Source)
	if p.early && (x.Moment == expr.RunTime || len(x.Calls) > 0) {
		from, to := offset, end
		if i := slices.IndexFunc(x.Refs, func(r expr.Ref) bool { return r.Moment == expr.RunTime }); i >= 0 {
			from, to = offset+x.Refs[i].Offset, offset+x.Refs[i].End
		}
		hint := "use params or matrix here, or decide inside the script"
		if p.alone {
			hint = "use params here; a list that is known only during the run is for `each`"
		}
		c.within("too-early", p.path, from, to, hint, fmt.Sprintf("%s is decided before the run starts, and this is known only during it", p.words()))
		return
	}
	if cure := c.wholeCure(p, x); cure != "" {
		c.within(expr.CodeType, p.path, offset, end, cure, "this is all that a stage has, and an input is one artifact or value")
	}
	c.statuses(p, x.Source, offset)
	if len(x.Calls) > 0 && !p.condition {
		c.within("expression", p.path, offset, end, "ask it in `if`, or read stages.NAME.status", fmt.Sprintf("%s() can be asked in `if` only", x.Calls[0]))
	}
	if k := x.Type.Kind; p.size && k != expr.Text && k != expr.Int && k != expr.Any {
		c.within(expr.CodeType, p.path, offset, end, "give it a unit in text, such as \"4Gi\"", fmt.Sprintf("this is %s, and a size is wanted here", x.Type))
	}
	if p.bare && isArtifact(x.Type) && len(x.Refs) > 0 && (x.Refs[0].Path[0] == "stages" || x.Refs[0].Path[0] == "params") {
		name := x.Refs[0].Path[len(x.Refs[0].Path)-1]
		c.within("artifact-as-text", p.path, offset, end, fmt.Sprintf("write `inputs: { %s: \"${{ %s }}\" }` and use $AMLFLOW_INPUT_%s", name, x.Source, variableName(name)),
			fmt.Sprintf("this is %s, which a stage must be given as an input to have it as a path", x.Type))
	}
}

// words are what the place is called.
func (p place) words() string {
	if p.argument != "" {
		return p.argument
	}
	return placeWords("pipeline", p.path)
}

func isArtifact(t expr.Type) bool {
	return t.Kind == expr.File || t.Kind == expr.Folder || t.Kind == expr.Model || t.Kind == expr.Artifact
}

// edge notes that a stage reads another, which it must then wait for.
func (c *checker) edge(p place, ref expr.Ref, offset int) {
	if p.stage == nil || len(ref.Path) < 2 || ref.Path[0] != "stages" {
		return
	}
	from, to, name := offset+ref.Offset, offset+ref.End, ref.Path[1]
	if name == p.stage.Name {
		hint := "read a result of another stage, or of the script itself"
		if p.own {
			hint = "write outputs.NAME or metrics.NAME: here a stage reads its own results"
		}
		c.within("self-need", p.path, from, to, hint, fmt.Sprintf("stage %q reads its own results before it has run", name))
		return
	}
	s := c.p.Source
	c.edges[p.stage.Name] = append(c.edges[p.stage.Name], edge{to: name, at: s.Within(p.path, from), width: to - from, path: p.path, data: !ref.Defaulted})
}

// guessUse keeps a broken expression from making its parameters look unused.
func (c *checker) guessUse(src string) {
	for _, param := range c.p.Params {
		if strings.Contains(src, param.Name) {
			c.used[param.Name] = true
		}
	}
}
