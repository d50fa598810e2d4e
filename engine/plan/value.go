package plan

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

// resolved is a text of the file after all that params decide has been decided.
type resolved struct {
	Value
	refs      []expr.Ref
	calls     []string
	artifact  bool // it is one reference to a file, folder or model
	artifacts bool // or to a list of them
	item      bool // it speaks of the item that the stage runs for
}

// value resolves the text at a place, as layer l sees it. What depends on the run, or
// on the item of a stage that runs over several, stays an expression.
func (c *compiler) value(l *layer, at, text string) resolved {
	if r, ok := c.common[at]; ok && l.depth == 0 && c.takes(l.p.Source, at, sizeOf(r.Known)) {
		return r
	}
	if !c.takes(l.p.Source, at, sizeOfValue+len(text)) {
		return resolved{}
	}
	r := c.resolve(l, at, text)
	if l.depth == 0 && strings.HasPrefix(at, "/defaults/") && r.Known != nil && !r.item {
		c.common[at] = r
	}
	return r
}

func (c *compiler) resolve(l *layer, at, text string) resolved {
	t, errs := expr.Split(text)
	if len(errs) > 0 {
		return resolved{} // schema.Check has reported them, with their places
	}
	if t.IsLiteral() {
		return resolved{Value: Value{Known: text}}
	}
	var r resolved
	later := false
	for _, part := range t.Parts {
		if part.Expr == "" {
			continue
		}
		x, errs := expr.Compile(part.Expr, l.scope, expr.Type{})
		if len(errs) > 0 {
			return resolved{}
		}
		if !c.takes(l.p.Source, at, sizeOfExpr) {
			return resolved{}
		}
		r.refs, r.calls = append(r.refs, x.Refs...), append(r.calls, x.Calls...)
		r.artifact, r.artifacts = isArtifact(x.Type), areArtifacts(x.Type)
		later = later || len(x.Calls) > 0 || x.Moment == expr.RunTime
	}
	for _, ref := range r.refs {
		if name := ref.Path[0]; name == "matrix" || name == "each" {
			r.item = true
			later = later || l.combination == nil
		}
	}
	if _, single := t.Single(); !single {
		r.artifact, r.artifacts = false, false
	}
	if later {
		r.Expr, r.Depth = text, l.depth
		return r
	}
	v, err := expr.EvalTemplate(t, l.values())
	if err != nil {
		c.find(diag.Finding{Pos: l.p.Source.At(at), Path: at, Code: "expression-value", Message: "with these parameters, " + err.Error(), Hint: "give other values with -p, or correct the expression"})
		return r
	}
	if c.takes(l.p.Source, at, sizeOf(v)) {
		r.Known = v
	}
	return r
}

// text resolves like value, and turns what is known into text, since a variable
// or an argument of a job is text.
func (c *compiler) text(l *layer, at, source string) resolved {
	r := c.value(l, at, source)
	if r.Known == nil {
		return r
	}
	s, err := expr.Format(r.Known)
	if err != nil {
		c.bad(l, at, "expression-value", err.Error(), "make it shorter")
	}
	r.Known = s
	return r
}

// now resolves a text that must be known before the run.
func (c *compiler) now(l *layer, at, text string) (string, bool) {
	if text == "" {
		return "", true
	}
	v := c.value(l, at, text)
	if v.Expr != "" {
		c.bad(l, at, "too-early", fmt.Sprintf("%s is decided before the run, so it can use params and matrix only", at[1:]), "use params or matrix here")
		return "", false
	}
	if v.Known == nil {
		return "", false
	}
	s, err := expr.Format(v.Known)
	return s, err == nil
}

func isArtifact(t expr.Type) bool {
	switch t.Kind {
	case expr.File, expr.Folder, expr.Model, expr.Artifact:
		return true
	}
	return false
}

func areArtifacts(t expr.Type) bool {
	return t.Kind == expr.List && t.Elem != nil && isArtifact(*t.Elem)
}
