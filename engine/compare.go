package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/engine/flow"
	"github.com/amlflow/amlflow/workers/target"
)

// Sameness is one result of a stage as it came out on several targets.
type Sameness struct {
	Result string `json:"result"` // "artifact", "value" or "metric"
	Name   string `json:"name"`
	Equal  bool   `json:"equal"`
	Values []any  `json:"values"` // in the order of the targets; nil: none came out
}

// The kinds of result that are compared.
const (
	ResultArtifact = "artifact" // by digest
	ResultValue    = "value"    // exactly
	ResultMetric   = "metric"   // within a tolerance
)

// Compare holds what became of one stage on several targets against what became of it
// on the first. Artifacts are equal when their digests are, values when they are the
// same JSON, and metrics when they differ by no more than tolerance, times the larger of
// the two where that is more than 1.
func Compare(all []*flow.StageProgress, tolerance float64) []Sameness {
	var out []Sameness
	for _, name := range resultsOf(all, func(s *flow.StageProgress) map[string]any { return s.Outputs }) {
		one := Sameness{Result: ResultValue, Name: name}
		for _, s := range all {
			v := s.Outputs[name]
			if isArtifact(v) {
				one.Result = ResultArtifact
			}
			one.Values = append(one.Values, v)
		}
		one.Equal = agree(one.Values, func(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) })
		out = append(out, one)
	}
	for _, name := range resultsOf(all, metrics) {
		one := Sameness{Result: ResultMetric, Name: name}
		for _, s := range all {
			one.Values = append(one.Values, metrics(s)[name])
		}
		one.Equal = agree(one.Values, func(a, b any) bool { return alike(plain(a), plain(b), tolerance) })
		out = append(out, one)
	}
	return out
}

// metrics are those of a stage and, where it has items, the lists of theirs.
func metrics(s *flow.StageProgress) map[string]any {
	all := map[string]any{}
	for name, v := range s.Metrics {
		all[name] = v
	}
	maps.Copy(all, s.Lists)
	return all
}

// resultsOf are the names of results on any target, sorted.
func resultsOf(all []*flow.StageProgress, of func(*flow.StageProgress) map[string]any) []string {
	names := map[string]bool{}
	for _, s := range all {
		for name := range of(s) {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func agree(values []any, same func(a, b any) bool) bool {
	for _, v := range values[1:] {
		if !same(values[0], v) {
			return false
		}
	}
	return true
}

// plain is a value as it is read from JSON, whatever Go type it has had.
func plain(v any) any {
	text, err := json.Marshal(v)
	var out any
	if err != nil || json.Unmarshal(text, &out) != nil {
		return fmt.Sprint(v)
	}
	return out
}

// alike reports whether two numbers, or lists of them, are the same but for tolerance.
func alike(a, b any, tolerance float64) bool {
	x, isNumber := a.(float64)
	y, also := b.(float64)
	if isNumber && also {
		return math.Abs(x-y) <= tolerance*max(1, math.Abs(x), math.Abs(y))
	}
	xs, isList := a.([]any)
	ys, also := b.([]any)
	if !isList || !also || len(xs) != len(ys) {
		return reflect.DeepEqual(a, b)
	}
	for i := range xs {
		if !alike(xs[i], ys[i], tolerance) {
			return false
		}
	}
	return true
}

// isArtifact reports whether v is the name of some content, or a list that begins with
// one.
func isArtifact(v any) bool {
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	text, ok := v.(string)
	return ok && strings.Contains(text, "sha256:") && target.Ref(text).Valid()
}
