package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// Options is what a person decides besides the files.
type Options struct {
	Profile string
	Params  map[string]any           // given values; text is read as the parameter's type
	Targets map[string]string        // stage name to target name; "" stands for every stage, "a/b" for stage b of the pipeline that a runs
	NoCache map[string]bool          // stages that do not use earlier results; "" stands for every stage
	Drivers map[string]target.Driver // by kind
	Files   fs.FS                    // the pipeline's folder
	Models  Models                   // the registry; nil: what is named in it is not looked up
}

// compiler turns one pipeline into a plan, and keeps every mistake on the way.
type compiler struct {
	p        *schema.Pipeline
	w        *schema.Workspace
	o        Options
	prefix   string // names of the stages around this pipeline, each with "/"
	profile  schema.Profile
	params   map[string]any
	checked  map[string]bool     // targets that were looked at, and whether they can be used
	common   map[string]resolved // of the pipeline's defaults, which are the same for all stages
	room     *room
	findings diag.Findings
}

// Compile decides everything that can be decided before a run. p and w must have
// passed schema.Check; the findings are those that need parameters, targets and
// drivers to be seen. The plan is nil when there is an error among them.
func Compile(p *schema.Pipeline, w *schema.Workspace, o Options) (*Plan, diag.Findings) {
	c := &compiler{p: p, w: w, o: o, checked: map[string]bool{}, common: map[string]resolved{}, room: &room{maxSize}}
	c.chooseProfile()
	c.bindParams()
	c.checkOverrides()
	if c.findings.Bad() {
		return nil, c.findings.Sort()
	}
	out := c.plan()
	if c.findings.Bad() {
		return nil, c.findings.Sort()
	}
	seal(out)
	return out, c.findings.Sort()
}

// plan compiles the pipeline with the parameters that are bound.
func (c *compiler) plan() *Plan {
	out := &Plan{Version: Version, Pipeline: c.p.Name, Workspace: c.w.Name, Profile: c.o.Profile, Params: c.params}
	own := &layer{p: c.p, scope: c.p.Scope(nil), params: c.params}
	if g := c.p.Concurrency; g != nil {
		out.Group = c.group(own, g)
	}
	stages := append(inOrder(c.stages(c.p.Stages, false)), inOrder(c.stages(c.p.Finally, true))...)
	c.jobs(stages)
	out.Stages = make([]Stage, len(stages)) // which are large, so not by appending
	for i, s := range stages {
		out.Stages[i] = *s
	}
	for _, n := range c.p.Outputs {
		out.Outputs = append(out.Outputs, Var{Name: n.Name, Value: c.value(own, n.Path, n.Text).Value})
	}
	return out
}

// Attach completes a compiled plan with what takes long to get: the names of the code
// folders and, by parameter, of the files and folders that were given.
func (p *Plan) Attach(code map[Folder]target.Ref, given map[string]target.Ref) {
	for name, ref := range given {
		p.Params[name] = string(ref)
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		if s.Code = code[s.folder]; s.Nested != nil {
			s.Nested.Plan.Attach(code, nil)
		}
	}
	seal(p)
}

// seal gives the plan its digest: of its JSON, stage by stage, so that a large plan is
// not held twice.
func seal(p *Plan) {
	sum := sha256.New()
	head := *p
	head.Digest, head.Stages = "", nil
	head.encode(json.NewEncoder(sum))
	e := json.NewEncoder(sum)
	for i := range p.Stages {
		if err := e.Encode(&p.Stages[i]); err != nil {
			panic(fmt.Sprintf("stage %q is not plain data: %v", p.Stages[i].Name, err)) // a mistake of ours
		}
	}
	p.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func (c *compiler) stages(ss []schema.Stage, finally bool) []*Stage {
	out := make([]*Stage, len(ss))
	for i := range ss {
		if !c.takes(c.p.Source, ss[i].Path, sizeOfStage) {
			return nil
		}
		out[i] = c.stage(&ss[i], finally)
	}
	return out
}

// nested compiles a pipeline that a stage runs.
func (c *compiler) nested(l *layer, s *schema.Stage) *Nested {
	known, late := c.arguments(l, s.With, s.Nested.Params)
	names := map[string]bool{}
	for _, a := range late {
		names[a.Param.Name] = true
	}
	inner := &compiler{p: s.Nested.Later(names), w: c.w, o: c.o, prefix: c.prefix + s.Name + "/", profile: c.profile, params: known, checked: c.checked, common: map[string]resolved{}, room: c.room}
	inner.o.Files = s.Nested.Import.Files
	out := inner.plan()
	c.findings = append(c.findings, inner.findings...)
	seal(out)
	return &Nested{Plan: out, Late: late}
}

// arguments bind the parameters of a template or pipeline to what `with` gives them.
func (c *compiler) arguments(l *layer, with []schema.Named, params []schema.Param) (known map[string]any, late []Late) {
	known = map[string]any{}
	given := map[string]schema.Named{}
	for _, w := range with {
		given[w.Name] = w
	}
	for _, p := range params {
		w, said := given[p.Name]
		if !c.takes(l.p.Source, l.s.Path, sizeOfValue) {
			break
		}
		switch {
		case !said:
			known[p.Name] = p.Default
		case w.List != nil:
			known[p.Name] = c.accepted(l, p, w, w.List)
		default:
			r := c.value(l, w.Path, w.Text)
			if r.Expr != "" {
				late = append(late, Late{Param: p, Value: r.Value})
				continue
			}
			v := r.Known
			if text, literal := v.(string); literal && literalText(w.Text) {
				if said, ok := l.p.Source.Value(w.Path); ok {
					v = said // keeps its type: 3 is not "3"
				} else {
					v = text
				}
			}
			known[p.Name] = c.accepted(l, p, w, v)
		}
	}
	return known, late
}

func literalText(text string) bool {
	t, errs := expr.Split(text)
	return len(errs) == 0 && t.IsLiteral()
}

func (c *compiler) accepted(l *layer, p schema.Param, w schema.Named, v any) any {
	got, problem := p.Accept(v)
	if problem != "" {
		c.find(diag.Finding{Pos: l.p.Source.At(w.Path), Path: w.Path, Code: "param-value",
			Message: "the parameter " + quote(p.Name) + " cannot be this: " + problem, Hint: "give another value here"})
	}
	return got
}

// values are what expressions that need no run may see.
func (l *layer) values() map[string]any {
	values := map[string]any{"params": l.params}
	if l.combination != nil {
		values["matrix"] = l.combination
	}
	return values
}

// layer is a stage as one file says it: the pipeline's own stage, or that of a
// template which it uses.
type layer struct {
	s           *schema.Stage // nil for what belongs to the pipeline as a whole
	p           *schema.Pipeline
	scope       expr.Scope
	params      map[string]any // those that are known
	depth       int            // frames around it
	combination map[string]any // of the matrix, when one is looked at
}

// with is the layer as one combination of the matrix sees it.
func (l *layer) with(combination map[string]any) *layer {
	one := *l
	one.combination = maps.Clone(combination)
	return &one
}

func (c *compiler) find(f diag.Finding) {
	if f.Severity == "" {
		f.Severity = diag.Error
	}
	c.findings = append(c.findings, f)
}
