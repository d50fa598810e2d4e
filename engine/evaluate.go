package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/expr"
)

// evaluate is the local activity that answers what a workflow may not work out
// itself. A mistake in an expression is an answer, not an error: trying again
// would not mend it.
func evaluate(_ context.Context, e flow.Evaluation) (flow.Evaluated, error) {
	got := flow.Evaluated{If: true, Results: map[string]any{}}
	v := visible{e: e, depths: []map[string]any{withFailed(e.Values, e)}}
	for _, step := range []func(*visible, *flow.Evaluated) *mistake{frames, condition, list, late, texts} {
		switch m := step(&v, &got); {
		case m != nil:
			return flow.Evaluated{Error: m.text, At: m.at, Because: got.Because}, nil
		case !got.If:
			return got, nil
		}
	}
	return got, nil
}

// visible is what expressions see: at each depth, the values there.
type visible struct {
	e      flow.Evaluation
	depths []map[string]any
}

// mistake is an error that a person can mend, and the key it is about.
type mistake struct{ text, at string }

func withFailed(values map[string]any, e flow.Evaluation) map[string]any {
	values = maps.Clone(values)
	values["failed()"] = e.Failed
	maps.Copy(values, e.Own)
	return values
}

func (v *visible) at(depth int) map[string]any { return v.depths[min(depth, len(v.depths)-1)] }

// frames give the parameters of the templates around an expression their values.
func frames(v *visible, _ *flow.Evaluated) *mistake {
	for _, f := range v.e.Frames {
		params := maps.Clone(f.Known)
		if params == nil {
			params = map[string]any{}
		}
		if m := bind(v, f.Late, params, fmt.Sprintf("template %q", f.Template)); m != nil {
			return m
		}
		inner := map[string]any{"params": params, "run": v.e.Values["run"]}
		v.depths = append(v.depths, withFailed(inner, v.e))
	}
	return nil
}

// bind evaluates parameters that had to wait for the run, and holds them against
// their declarations.
func bind(v *visible, late []plan.Late, into map[string]any, of string) *mistake {
	for _, l := range late {
		x, err := template(l.Expr, v.at(l.Depth))
		if err == nil {
			problem := ""
			if x, problem = l.Param.Accept(x); problem != "" {
				err = errors.New(problem)
			}
		}
		if err != nil {
			return &mistake{fmt.Sprintf("the parameter %q of %s: %v", l.Param.Name, of, err), "with"}
		}
		into[l.Param.Name] = x
	}
	return nil
}

func condition(v *visible, got *flow.Evaluated) *mistake {
	if v.e.If == "" {
		return nil
	}
	values := v.at(v.e.IfDepth)
	x, err := template(v.e.If, values)
	truth, ok := x.(bool)
	if err == nil && !ok {
		err = fmt.Errorf("the condition is %v, neither true nor false", x)
	}
	if err != nil {
		return &mistake{err.Error(), "if"}
	}
	got.If, got.Because = truth, because(v.e.If, values)
	return nil
}

// maxSeen bounds what is said of the values that a condition saw.
const maxSeen = 300

// because says what the expressions of a text saw: "params.limit is 3".
func because(text string, values map[string]any) string {
	t, _ := expr.Split(text)
	scope := expr.Scope{Names: map[string]expr.Type{}, Functions: []string{"always", "failed"}}
	for name := range values {
		scope.Names[name] = expr.Type{}
	}
	var said []string
	for _, part := range t.Expressions() {
		x, errs := expr.Compile(part.Expr, scope, expr.Type{})
		if len(errs) > 0 {
			continue
		}
		for _, ref := range x.Refs {
			path := strings.Join(ref.Path, ".")
			seen, err := expr.Eval(part.Expr[ref.Offset:ref.End], values)
			if x, ok := seen.(float64); ok && ref.Path[0] == "endpoint" {
				seen = brief(x) // what was measured has more digits than mean anything
			}
			shown, err2 := expr.Format(seen)
			if err != nil || err2 != nil {
				shown = "not there"
			}
			said = append(said, fmt.Sprintf("%s is %.60s", path, shown))
		}
		for _, call := range x.Calls {
			said = append(said, fmt.Sprintf("%s() is %v", call, call == "always" || values["failed()"] == true))
		}
	}
	slices.Sort(said)
	return fmt.Sprintf("%.*s", maxSeen, strings.Join(slices.Compact(said), ", "))
}

func brief(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

func list(v *visible, got *flow.Evaluated) *mistake {
	if v.e.List == "" {
		return nil
	}
	x, err := template(v.e.List, v.at(0))
	items, ok := x.([]any)
	switch {
	case err != nil:
		return &mistake{"in each: " + err.Error(), "each"}
	case !ok:
		return &mistake{"in each: what the stage is to run over is no list", "each"}
	case len(items) > schema.MaxCombinations:
		return &mistake{fmt.Sprintf("in each: the list has %d items, and a stage runs over %d at most", len(items), schema.MaxCombinations), "each"}
	}
	got.List = items
	return nil
}

func late(v *visible, got *flow.Evaluated) *mistake {
	got.Params = map[string]any{}
	return bind(v, v.e.Late, got.Params, "the pipeline")
}

func texts(v *visible, got *flow.Evaluated) *mistake {
	for _, key := range slices.Sorted(maps.Keys(v.e.Texts)) {
		x, err := template(v.e.Texts[key], v.at(v.e.Depths[key]))
		if err == nil && !v.e.Lenient {
			x, err = format(key, x)
		}
		switch {
		case err == nil:
			got.Results[key] = x
		case !v.e.Lenient || !missing(err):
			at := place(key)
			return &mistake{fmt.Sprintf("in %s: %v", strings.ReplaceAll(at, "/", "."), err), at}
		}
	}
	return nil
}

// format makes text of a value. Lists that are inputs may name thousands of
// artifacts, which no program is handed as text.
func format(key string, v any) (any, error) {
	if _, isList := v.([]any); isList && strings.HasPrefix(key, "inputs/") {
		return v, nil
	}
	return expr.Format(v)
}

// place is where a person wrote the expression: those of a script have become
// variables.
func place(key string) string {
	if strings.HasPrefix(key, "env/"+expr.VarPrefix) {
		return "run"
	}
	return key
}

func template(text string, values map[string]any) (any, error) {
	t, errs := expr.Split(text)
	if len(errs) > 0 {
		return nil, &errs[0]
	}
	return expr.EvalTemplate(t, values)
}

func missing(err error) bool {
	var e *expr.Error
	return errors.As(err, &e) && e.Code == expr.CodeMissing
}
