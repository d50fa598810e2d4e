package expr_test

import (
	"encoding/json"
	"strings"
	"testing"

	language "github.com/expr-lang/expr"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/amlflow/amlflow/schema/expr"
)

// differs lists where this language leaves expr-lang on purpose: text is written as JSON, maps are sorted, functions
// that round give whole numbers, a place in a text is a character, and comparing what is missing is an error.
var differs = []string{"string(", "toJSON(", "keys(", "values(", "toPairs(", "uniq(", "mean(", "groupBy(", "failed(", "[0]", "nil", "fit-a", "{a: 1}"}

// Where both give an answer it is the same: the documentation of expr-lang must hold here.
func TestAnswersAreThoseOfTheLanguage(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		src := sourceText().Draw(t, "src")
		for _, word := range differs {
			if strings.Contains(src, word) {
				return
			}
		}
		want, err := language.Eval(src, values())
		if err != nil {
			return
		}
		got, err := expr.Eval(src, values())
		if err != nil {
			return
		}
		compared++
		if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
			t.Fatalf("%s (-expr-lang +here):\n%s", src, diff)
		}
	})
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// plain is a value as JSON has it, without Go's kinds of numbers.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return err.Error()
	}
	return out
}
