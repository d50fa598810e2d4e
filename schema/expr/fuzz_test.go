package expr_test

import (
	"os"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/schema/expr"
)

// seeds are the lines, or the stretches between lines of three dashes, of a file of testdata.
func seeds(f *testing.F, file, separator string) {
	f.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range strings.Split(string(text), separator) {
		f.Add(seed)
	}
}

// FuzzEval: every text ends in a value that can be written down or in an error with a place, the same each time.
func FuzzEval(f *testing.F) {
	seeds(f, "eval.txt", "\n")
	seeds(f, "check.txt", "\n")
	for _, src := range hostile {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		c, errs := expr.Compile(src, scope(), expr.Type{})
		for _, e := range errs {
			checkError(t, src, e)
			if e.End > len(src) {
				t.Fatalf("%q: an error beyond the end: %+v", src, e)
			}
		}
		v, err := expr.Eval(src, values())
		if err != nil {
			checkError(t, src, *fault(t, err))
		} else if encoded(t, v) == "" {
			t.Fatalf("%q gave %v", src, v)
		} else if len(errs) == 0 && v != nil && !strings.Contains(src, "nil") && !strings.Contains(src, "?") { // nothing may stand for anything
			if _, err := c.Type.Accept(v); err != nil {
				t.Fatalf("%q passed the check as %s, and gave %v: %v", src, c.Type, v, err)
			}
		}
		if first, again := answer(src, values()), answer(src, values()); first != again {
			t.Fatalf("%q: %s, then %s", src, first, again)
		}
	})
}

// FuzzSplit: the parts are the text, and the errors have places in it.
func FuzzSplit(f *testing.F) {
	seeds(f, "template.txt", "\n---\n")
	seeds(f, "script.txt", "\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		template, errs := expr.Split(text)
		checkParts(t, text, template, errs)
		if len(errs) == 0 && len(text) < 10_000 {
			if _, err := expr.EvalTemplate(template, values()); err != nil {
				checkError(t, text, *fault(t, err))
			}
		}
	})
}

// FuzzEmbedShell: a script comes back with its variables, or with errors that have places; what comes back has no
// expression left outside comments, and is read again as a script.
func FuzzEmbedShell(f *testing.F) {
	seeds(f, "script.txt", "\n---\n")
	for _, form := range forms {
		f.Add(form.script)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			return
		}
		script, errs := expr.EmbedShell(text)
		for _, e := range errs {
			checkError(t, text, e)
		}
		if errs != nil {
			return
		}
		for _, v := range script.Vars {
			if text[v.Offset:v.Offset+len(v.Expr)] != v.Expr || !strings.Contains(script.Text, "${"+v.Name+"}") {
				t.Fatalf("%q: %+v is not where it says, in %q", text, v, script.Text)
			}
		}
		renamed := strings.ReplaceAll(script.Text, "AMLFLOW_EXPR_", "VALUE_")
		if _, errs := expr.EmbedShell(renamed); errs != nil {
			t.Fatalf("%q became %q, which is not a script: %v", text, script.Text, errs)
		}
	})
}
