package plan

import (
	"io/fs"

	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/expr"
)

// staging is one stage in the making. A stage that uses a template is said by
// several files: what the stage says comes before what the template says, and that
// before what a template says which it uses.
type staging struct {
	*compiler
	layers []*layer // the pipeline's own first
	out    *Stage
	needs  needs

	evaluated map[string]one // inputs and variables that wait for the run, by key
}

// layered finds the layers of s, and notes the frames between them.
func (c *compiler) layered(s *schema.Stage, out *Stage) *staging {
	b := &staging{compiler: c, out: out, needs: needs{stage: s.Name, order: s.Needs}}
	top := &layer{s: s, p: c.p, scope: c.p.Scope(s), params: c.params}
	b.layers = []*layer{top}
	for l := top; l.s.Template != nil; l = b.layers[len(b.layers)-1] {
		t := l.s.Template
		known, late := c.arguments(l, l.s.With, t.Params)
		names := map[string]bool{}
		for _, a := range late {
			names[a.Param.Name] = true
		}
		if l == top {
			b.readLate(late)
		}
		p := t.Alone().Later(names)
		b.layers = append(b.layers, &layer{s: &t.Stage, p: p, scope: p.Scope(&t.Stage), params: known, depth: l.depth + 1})
		out.Frames = append(out.Frames, Frame{Template: t.Name, Known: known, Late: late})
	}
	return b
}

// readLate notes what the values of parameters wait for.
func (b *staging) readLate(late []Late) {
	for _, a := range late {
		b.needs.read(refsOf(a.Expr, b.layers[0].scope))
	}
}

// refsOf are the references in a text whose expressions are known to be right.
func refsOf(text string, scope expr.Scope) (refs []expr.Ref) {
	t, _ := expr.Split(text)
	for _, part := range t.Expressions() {
		if x, errs := expr.Compile(part.Expr, scope, expr.Type{}); len(errs) == 0 {
			refs = append(refs, x.Refs...)
		}
	}
	return refs
}

// kind is the layer that says what the stage does.
func (b *staging) kind() *layer { return b.layers[len(b.layers)-1] }

// says finds the layer that says a key. It is the pipeline's own when none does:
// then the pipeline's defaults may.
func (b *staging) says(key string) *layer {
	if len(b.layers) == 1 {
		return b.layers[0]
	}
	for _, l := range b.layers {
		if _, ok := l.p.Source.Value(l.s.Path + "/" + key); ok {
			return l
		}
	}
	return b.layers[0]
}

// read takes the value of a text into the stage: what it refers to is waited for.
func (b *staging) read(l *layer, r resolved) resolved {
	if l.depth == 0 {
		b.needs.read(r.refs)
	}
	return r
}

// one is a name with its text, and the layer that says it.
type one struct {
	schema.Named
	layer *layer
}

// merged gathers named things of all layers: a name that an outer layer has comes
// from there, and the pipeline's defaults come last.
func (b *staging) merged(of func(*schema.Stage) []schema.Named) []one {
	var out []one
	at := map[string]int{}
	put := func(l *layer, n schema.Named) {
		if i, ok := at[n.Name]; ok {
			out[i] = one{n, l}
			return
		}
		at[n.Name] = len(out)
		out = append(out, one{n, l})
	}
	top := b.layers[0]
	for _, n := range of(top.s) {
		if byDefault(n) {
			put(top, n)
		}
	}
	for i := len(b.layers) - 1; i >= 0; i-- {
		for _, n := range of(b.layers[i].s) {
			if !byDefault(n) {
				put(b.layers[i], n)
			}
		}
	}
	return out
}

func byDefault(n schema.Named) bool {
	const prefix = "/defaults/"
	return len(n.Path) > len(prefix) && n.Path[:len(prefix)] == prefix
}

// Folder names a folder with code: Path as it is written, below the folder of the
// file that says it. Base is empty for the pipeline that a person named.
type Folder struct{ Base, Path string }

// Home is a folder with code, and the stages that run in copies of it.
type Home struct {
	Folder
	Pipeline *schema.Pipeline // of the first stage
	Stage    *schema.Stage    // the first
	Stages   []string         // all, each with the stages around it: "nested/train"
}

// Homes are the folders whose content stages of the pipeline run in, each once. A
// template that names no folder runs in that of the pipeline which uses it.
func Homes(p *schema.Pipeline) []*Home {
	var out []*Home
	seen := map[Folder]*Home{}
	var walk func(p *schema.Pipeline, around string)
	walk = func(p *schema.Pipeline, around string) {
		for _, list := range [][]schema.Stage{p.Stages, p.Finally} {
			for i := range list {
				s := &list[i]
				last := innermost(s)
				if last.Nested != nil {
					walk(last.Nested, around+s.Name+"/")
				}
				if last.Approve != nil || last.Pipeline != "" {
					continue // they run nothing themselves
				}
				f := folderOf(p, s)
				if seen[f] == nil {
					seen[f] = &Home{Folder: f, Pipeline: p, Stage: s}
					out = append(out, seen[f])
				}
				seen[f].Stages = append(seen[f].Stages, around+s.Name)
			}
		}
	}
	walk(p, "")
	return out
}

// innermost is the stage that says what s does.
func innermost(s *schema.Stage) *schema.Stage {
	for s.Template != nil {
		s = &s.Template.Stage
	}
	return s
}

func folderOf(p *schema.Pipeline, s *schema.Stage) Folder {
	if s.Code != "" && s.At("code") == s.Path+"/code" {
		return Folder{p.Import.Folder, s.Code}
	}
	for t := s.Template; t != nil; t = t.Stage.Template {
		if t.Stage.Code != "" {
			return Folder{t.Import.Folder, t.Stage.Code}
		}
	}
	return Folder{p.Import.Folder, s.Code}
}

// code is the folder that the stage runs in: the files that it lies among, and its path.
func (b *staging) code() (fs.FS, string) {
	top := b.layers[0]
	f := folderOf(top.p, top.s)
	files := b.o.Files
	for t := top.s.Template; t != nil; t = t.Stage.Template {
		if t.Import.Folder == f.Base && f.Base != top.p.Import.Folder {
			files = t.Import.Files
		}
	}
	return files, f.Path
}
