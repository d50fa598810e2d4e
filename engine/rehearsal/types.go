package rehearsal

import (
	"math"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema/expr"
	"github.com/amlflow/amlflow/workers/target"
)

// listOf begins the type of the results of a stage that runs over several items, when
// they are artifacts.
const listOf = "list of "

// outputsOf are the outputs of a stage, and their types where they are known.
func outputsOf(s *plan.Stage) map[string]string {
	all := map[string]string{}
	for _, o := range s.Outputs {
		all[o.Name] = o.Type
	}
	switch {
	case s.Deploy != nil:
		all["url"] = "string"
	case s.Approve != nil:
		all["by"], all["comment"] = "string", "string"
	case s.Nested != nil:
		return givenBack(s.Nested.Plan)
	}
	return all
}

func metricsOf(s *plan.Stage) map[string]string {
	all := map[string]string{}
	for _, m := range s.Metrics {
		all[m.Name] = m.Type
	}
	return all
}

func keys(m map[string]string) []string {
	var all []string
	for key := range m {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

var words = map[string]string{"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "list": "a list",
	target.File: "a text that names the file", target.Folder: "a text that names the folder", target.Model: "a text that names the model"}

// fits reports whether a value is of a type; the empty type takes any.
func fits(v any, typ string) bool {
	switch x := v.(type) {
	case string:
		return typ == "" || typ == "string" || isArtifact(typ)
	case bool:
		return typ == "" || typ == "boolean"
	case int:
		return typ == "" || typ == "number" || typ == "integer"
	case float64:
		return typ == "" || typ == "number" || typ == "integer" && x == math.Trunc(x)
	case []any:
		return typ == "" || typ == "list" || strings.HasPrefix(typ, listOf)
	}
	return typ == ""
}

// givenBack are the outputs of a pipeline, and their types where they are plain
// references to those of a stage.
func givenBack(p *plan.Plan) map[string]string {
	all := map[string]string{}
	for _, o := range p.Outputs {
		all[o.Name] = typeOf(p, o.Expr)
	}
	return all
}

func typeOf(p *plan.Plan, text string) string {
	t, errs := expr.Split(text)
	single, only := t.Single()
	if len(errs) > 0 || !only {
		return ""
	}
	x, errs := expr.Compile(single.Expr, anything, expr.Type{})
	if len(errs) > 0 || len(x.Refs) != 1 {
		return ""
	}
	ref := x.Refs[0]
	whole := strings.TrimSpace(single.Expr) == single.Expr[ref.Offset:ref.End]
	if !whole || len(ref.Path) != 4 || ref.Path[0] != "stages" || ref.Path[2] != "outputs" {
		return ""
	}
	s := p.Stage(ref.Path[1])
	if s == nil {
		return ""
	}
	typ := outputsOf(s)[ref.Path[3]]
	switch {
	case s.Fan == nil:
		return typ
	case isArtifact(typ):
		return listOf + typ
	}
	return "list"
}

func isArtifact(typ string) bool {
	return typ == target.File || typ == target.Folder || typ == target.Model
}
