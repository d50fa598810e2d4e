package plan

import (
	"fmt"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/schema/expr"
)

// resolved is a text of the file after all that params decide has been decided.
type resolved struct {
	Value
	refs     []expr.Ref
	calls    []string
	artifact bool // it is one reference to a file, folder or model
}

// value resolves the text at a place. What depends on the run stays an
// expression.
func (c *compiler) value(scope expr.Scope, at, text string) resolved {
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
		x, errs := expr.Compile(part.Expr, scope, expr.Type{})
		if len(errs) > 0 {
			return resolved{}
		}
		r.refs, r.calls = append(r.refs, x.Refs...), append(r.calls, x.Calls...)
		r.artifact = isArtifact(x.Type)
		later = later || len(x.Calls) > 0 || x.Moment == expr.RunTime
	}
	if _, single := t.Single(); !single {
		r.artifact = false
	}
	if later {
		r.Expr = text
		return r
	}
	v, err := expr.EvalTemplate(t, map[string]any{"params": c.params})
	if err != nil {
		c.find(diag.Finding{Pos: c.p.Source.At(at), Path: at, Code: "expression-value", Message: "with these parameters, " + err.Error()})
		return r
	}
	r.Known = v
	return r
}

// text resolves like value, and turns what is known into text, since a variable
// or an argument of a job is text.
func (c *compiler) text(scope expr.Scope, at, source string) resolved {
	r := c.value(scope, at, source)
	if r.Known == nil {
		return r
	}
	s, err := expr.Format(r.Known)
	if err != nil {
		c.bad(at, "expression-value", err.Error(), "")
	}
	r.Known = s
	return r
}

// now resolves a text that must be known before the run.
func (c *compiler) now(at, text string) (string, bool) {
	if text == "" {
		return "", true
	}
	v := c.value(c.p.Scope(nil), at, text)
	if v.Expr != "" {
		c.bad(at, "too-early", fmt.Sprintf("%s is decided before the run, so it can use params only", at[1:]), "")
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
