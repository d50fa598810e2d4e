package expr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/amlflow/amlflow/schema/expr"
)

func TestEvalSays(t *testing.T) {
	input, err := os.ReadFile("testdata/eval.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, src := range strings.Split(strings.TrimSpace(string(input)), "\n") {
		if strings.HasPrefix(src, "//") || src == "" {
			continue
		}
		v, err := expr.Eval(src, values())
		if err != nil {
			fmt.Fprintf(&out, "%s\n", src)
			underline(&out, src, *fault(t, err))
			continue
		}
		fmt.Fprintf(&out, "%s => %s\n", src, encoded(t, v))
	}
	golden(t, "eval.golden", out.String())
}

func fault(t *testing.T, err error) *expr.Error {
	t.Helper()
	var e *expr.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is a %T, and should be an *expr.Error: %v", err, err)
	}
	return e
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Values that went through JSON, as all do between a worker and the engine, must give the same answers.
func TestEvalDoesNotSeeWhetherWholeNumbersWereFloats(t *testing.T) {
	input, err := os.ReadFile("testdata/eval.txt")
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal([]byte(encoded(t, values())), &decoded); err != nil {
		t.Fatal(err)
	}
	for _, src := range strings.Split(string(input), "\n") {
		if want, got := answer(src, values()), answer(src, decoded); want != got {
			t.Errorf("%s: %s with ints, %s after JSON", src, want, got)
		}
	}
}

func answer(src string, values map[string]any) string {
	v, err := expr.Eval(src, values)
	b, _ := json.Marshal(v)
	return fmt.Sprint(string(b), " ", err)
}

func TestEvalRefusesWhatJSONCannotHold(t *testing.T) {
	for name, v := range map[string]any{"NaN": math.NaN(), "infinity": math.Inf(1), "a channel": make(chan int), "a large int": 1<<53 + 1, "inside": []any{math.NaN()}} {
		if got, err := expr.Eval("x", map[string]any{"x": v}); err == nil {
			t.Errorf("%s came out as %v", name, got)
		}
		if got, err := expr.Eval("[x, x] == [x, x] or true", map[string]any{"x": v}); err == nil && name != "inside" && name != "NaN" {
			t.Logf("%s compared as %v", name, got)
		}
	}
}

func TestEvalSharesNothingWithItsValues(t *testing.T) {
	in := map[string]any{"x": []any{map[string]any{"a": 1}}}
	v, err := expr.Eval("x", in)
	if err != nil {
		t.Fatal(err)
	}
	v.([]any)[0].(map[string]any)["a"] = 2
	if diff := cmp.Diff(map[string]any{"x": []any{map[string]any{"a": 1}}}, in); diff != "" {
		t.Error(diff)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{"a b", "a b"}, {"", ""}, {nil, ""}, {true, "true"}, {500, "500"}, {500.0, "500"}, {math.Copysign(0, -1), "0"},
		{1 << 53, "9007199254740992"}, {0.1, "0.1"}, {1e-7, "1e-07"}, {0.000001, "0.000001"}, {1e20, "100000000000000000000"}, {1e22, "1e+22"},
		{[]any{1, 2.5, "a<b", nil}, `[1,2.5,"a<b",null]`}, {map[string]any{"b": 1, "a": []any{true}}, `{"a":[true],"b":1}`},
		{json.Number("12"), "12"}, {int64(7), "7"},
	} {
		got, err := expr.Format(c.in)
		if err != nil || got != c.want {
			t.Errorf("Format(%#v) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, bad := range []any{math.NaN(), math.Inf(-1), "a\x00b", struct{}{}, []any{make(chan int)}} {
		if got, err := expr.Format(bad); err == nil {
			t.Errorf("Format(%#v) = %q, want an error", bad, got)
		}
	}
}

func TestAccept(t *testing.T) {
	number := kind(expr.Number)
	for _, c := range []struct {
		want expr.Type
		in   any
		out  any
		ok   bool
	}{
		{kind(expr.Bool), true, true, true}, {kind(expr.Bool), "true", nil, false}, {kind(expr.Int), 3.0, 3, true}, {kind(expr.Int), 3.5, nil, false},
		{kind(expr.Number), 3, 3, true}, {kind(expr.Text), nil, nil, false}, {kind(expr.Any), nil, nil, true}, {kind(expr.Folder), "sha256:ab", "sha256:ab", true},
		{expr.Type{Kind: expr.List, Elem: &number}, []any{1, 2.5}, []any{1, 2.5}, true}, {expr.Type{Kind: expr.List, Elem: &number}, []any{1, "a"}, nil, false},
	} {
		got, err := c.want.Accept(c.in)
		if (err == nil) != c.ok || c.ok && !cmp.Equal(got, c.out) {
			t.Errorf("%s accepts %#v: %#v, %v", c.want, c.in, got, err)
		}
	}
}

// Whatever the checker lets through must not fail for its types when it is evaluated, and must give what it said.
func TestCheckedExpressionsKeepTheirTypes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := sourceText().Draw(t, "src")
		c, errs := expr.Compile(src, scope(), expr.Type{})
		if errs != nil {
			for _, e := range errs {
				if e.Offset < 0 || e.Offset > e.End || e.End > len(src) || e.Message == "" || e.Code == "" {
					t.Fatalf("a bad error for %q: %+v", src, e)
				}
			}
			return
		}
		v, err := expr.Eval(src, values())
		if err != nil {
			var e *expr.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			if e.Code == expr.CodeType && c.Type.Kind != expr.Any && !strings.Contains(src, "extra") && !dynamic(src) {
				t.Fatalf("%s passed the check as %s, and then: %s", src, c.Type, e)
			}
			return
		}
		// Nothing may stand for a value of any type, also inside another: x ?? nil.
		if _, err := c.Type.Accept(v); v != nil && err != nil && !strings.Contains(src, "nil") && !strings.Contains(src, "?.") {
			t.Fatalf("%s passed the check as %s, and gave %v: %v", src, c.Type, v, err)
		}
	})
}

// dynamic says that a part of the source has a type that only its value tells:
// an item of a list of several types, for example, or what sort has to compare.
func dynamic(src string) bool {
	if strings.Contains(src, "[") && strings.Contains(src, ", ") {
		return true
	}
	for _, word := range []string{"reduce", "get(", "fromJSON", "?", "[]", "find(", "nil", "min(", "max(", "toPairs(", "sort("} {
		if strings.Contains(src, word) {
			return true
		}
	}
	return false
}

// sourceText makes sources that are mostly well formed.
func sourceText() *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{"1", "0", "2.5", `"a"`, `"é"`, "true", "nil", "params.rows", "params.name", "params.sizes", "params.debug", "params.extra",
		"stages.train.metrics.accuracy", `stages["fit-a"].outputs.note`, "failed()", "run.id", "[1, \"a\"]", "[]", "{a: 1}"})
	return rapid.Custom(func(t *rapid.T) string {
		var build func(depth int) string
		build = func(depth int) string {
			if depth == 0 || rapid.IntRange(0, 3).Draw(t, "stop") == 0 {
				return leaf.Draw(t, "leaf")
			}
			a := build(depth - 1)
			switch rapid.IntRange(0, 6).Draw(t, "form") {
			case 0, 1:
				op := rapid.SampledFrom([]string{"+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or", "in", "..", "contains", "??"}).Draw(t, "op")
				return "(" + a + " " + op + " " + build(depth-1) + ")"
			case 2:
				return "(" + build(depth-1) + " ? " + a + " : " + build(depth-1) + ")"
			case 3:
				f := rapid.SampledFrom([]string{"len", "upper", "string", "toJSON", "int", "float", "keys", "values", "sort", "first", "max", "sum", "abs", "round", "uniq", "reverse", "mean", "toPairs"}).Draw(t, "f")
				return f + "(" + a + ")"
			case 4:
				f := rapid.SampledFrom([]string{"map", "filter", "all", "sortBy", "groupBy", "count", "find"}).Draw(t, "f")
				body := rapid.SampledFrom([]string{"#", "# > 1", "string(#)", "# + #", "#index", "true"}).Draw(t, "body")
				return f + "(" + a + ", " + body + ")"
			case 5:
				return "[" + a + ", " + build(depth-1) + "]"
			}
			return a + "[0]"
		}
		return build(4)
	})
}

func TestSameAnswerEveryTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := sourceText().Draw(t, "src")
		first := answer(src, values())
		for range 3 {
			if again := answer(src, values()); again != first {
				t.Fatalf("%s: %s, then %s", src, first, again)
			}
		}
	})
}

// A list with nothing in it is not a list of what else is in it.
func TestAListWithNothingInIt(t *testing.T) {
	c, errs := expr.Compile("[1, nil]", scope(), expr.Type{})
	if errs != nil || c.Type.Kind != expr.List || c.Type.Elem.Kind != expr.Any {
		t.Errorf("it is %v, %v", c, errs)
	}
}
