package expr_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/amlflow/amlflow/schema/expr"
)

func TestSplitSays(t *testing.T) {
	input, err := os.ReadFile("testdata/template.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(input), "\n")
	var out strings.Builder
	for _, text := range strings.Split(strings.TrimSuffix(cases, "\n"), "\n---\n") {
		out.WriteString(indented("| ", text))
		template, errs := expr.Split(text)
		for _, e := range errs {
			place(&out, text, e)
		}
		for _, p := range template.Parts {
			if p.Expr != "" {
				fmt.Fprintf(&out, "  expression %q of %q\n", text[p.Offset:p.Offset+len(p.Expr)], text[p.Start:p.End])
			} else {
				fmt.Fprintf(&out, "  literal %q\n", p.Literal)
			}
		}
		if errs == nil {
			v, err := expr.EvalTemplate(template, values())
			if err != nil {
				place(&out, text, *fault(t, err))
			} else {
				fmt.Fprintf(&out, "  => %T %s\n", v, encoded(t, v))
			}
		}
		out.WriteString("\n")
	}
	golden(t, "template.golden", out.String())
}

// The parts of a text without mistakes are the text, and every expression lies where it says.
func TestSplitLosesNothing(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", " ", "${{ x }}", "${{x}}", "$", "{", "}", "}}", `${{ "}}" }}`, "${{ {a: {b: 1}} }}", "é", "\n", "'", `"`, "${{ '\\'' }}", "${{ `}}` }}", "${{"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		template, errs := expr.Split(text)
		checkParts(t, text, template, errs)
	})
}

type failer interface{ Fatalf(string, ...any) }

func checkParts(t failer, text string, template expr.Template, errs []expr.Error) {
	var whole strings.Builder
	for _, p := range template.Parts {
		whole.WriteString(text[p.Start:p.End])
		if p.Expr != "" && (text[p.Offset:p.Offset+len(p.Expr)] != p.Expr || !strings.HasPrefix(text[p.Start:], "${{") || strings.TrimSpace(p.Expr) != p.Expr) {
			t.Fatalf("%q: the part %+v is not where it says", text, p)
		}
		if p.Expr == "" && p.Literal != text[p.Start:p.End] {
			t.Fatalf("%q: the literal %+v is not where it says", text, p)
		}
	}
	if len(errs) == 0 && whole.String() != text {
		t.Fatalf("%q became %q", text, whole.String())
	}
	if len(errs) == 0 && strings.Contains(text, "${{") == template.IsLiteral() {
		t.Fatalf("%q: literal is %v", text, template.IsLiteral())
	}
	for _, e := range errs {
		checkError(t, text, e)
	}
}

func checkError(t failer, text string, e expr.Error) {
	if e.Offset < 0 || e.Offset > e.End || e.Offset > len(text) || e.Code == "" || e.Message == "" {
		t.Fatalf("%q: a bad error: %+v", text, e)
	}
}
