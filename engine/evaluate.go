package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/schema/expr"
)

// evaluate is the local activity that answers what a workflow may not work out
// itself. A mistake in an expression is an answer, not an error: trying again
// would not mend it.
func evaluate(_ context.Context, e flow.Evaluation) (flow.Evaluated, error) {
	got := flow.Evaluated{If: true, Results: map[string]any{}}
	values := maps.Clone(e.Values)
	values["failed()"] = e.Failed
	if e.If != "" {
		v, err := template(e.If, values)
		truth, ok := v.(bool)
		if err == nil && !ok {
			err = fmt.Errorf("the condition is %v, neither true nor false", v)
		}
		if err != nil {
			return flow.Evaluated{Error: err.Error(), At: "if"}, nil
		}
		if got.If = truth; !truth {
			return got, nil
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Texts)) {
		v, err := template(e.Texts[key], values)
		if err == nil && !e.Lenient {
			v, err = expr.Format(v)
		}
		switch {
		case err == nil:
			got.Results[key] = v
		case !e.Lenient || !missing(err):
			at := place(key)
			return flow.Evaluated{Error: fmt.Sprintf("in %s: %v", strings.ReplaceAll(at, "/", "."), err), At: at}, nil
		}
	}
	return got, nil
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
