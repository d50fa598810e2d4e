package plan_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
)

// repeated writes format n times, with the number of each for every "#".
func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// Small files that ask for gigabytes are refused where it becomes too much, and ten
// thousand stages are not.
func TestAPlanHasRoom(t *testing.T) {
	const head = "amlflow: v1\npipeline: p\n"
	long := "params: { p: { type: string, default: \"" + strings.Repeat("x", 200_000) + "\" } }\n"
	params := "params: { " + repeated(3000, "p#: { type: string, default: abcdefgh }, ") + "}\n"
	number := "params: { p: { type: integer, default: 1 } }\n"
	for name, c := range map[string]struct{ text, want string }{
		"ten thousand stages":        {head + "stages:\n" + repeated(10_000, "  s#: { run: x }\n"), ""},
		"ten thousand expressions":   {head + number + "stages:\n" + repeated(10_000, "  s#: { run: \"echo ${{ params.p + # }}\" }\n"), ""},
		"defaults of all":            {head + number + "defaults: { env: { A: \"${{ params.p }}\" } }\nstages:\n" + repeated(10_000, "  s#: { run: x }\n"), ""},
		"a long text in scripts":     {head + long + "stages:\n" + repeated(3000, "  s#: { run: \"echo ${{ params.p }}\" }\n"), "too-large"},
		"a long text in variables":   {head + long + "stages:\n" + repeated(3000, "  s#: { run: x, env: { A: \"${{ params.p }}\" } }\n"), "too-large"},
		"all parameters":             {head + params + "stages:\n" + repeated(3000, "  s#: { run: \"echo ${{ params }}\" }\n"), "too-large"},
		"a matrix of long texts":     {head + "stages: { a: { run: x, matrix: { a: [" + strings.Repeat("x", 100_000) + ", " + strings.Repeat("y", 100_000) + "], b: [" + repeated(5000, "#, ") + "] } } }\n", "too-large"},
		"expressions in the default": {head + number + "defaults: { env: { " + repeated(50, "A#: \"${{ params.p + # }}\", ") + "} }\nstages:\n" + repeated(10_000, "  s#: { run: x }\n"), ""},
	} {
		var before, after runtime.MemStats
		p, fs := schema.ReadPipeline("f", []byte(c.text))
		if fs = append(fs, schema.Check(p, nil, nil)...); fs.Bad() {
			t.Fatalf("%s: %.300v", name, fs)
		}
		runtime.ReadMemStats(&before)
		start := time.Now()
		made, fs := plan.Compile(p, schema.DefaultWorkspace(""), options(t, "", nil))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		taken := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-28s %6d ms %5d MB %.100q", name, took.Milliseconds(), taken, fs)
		if c.want == "" && (made == nil || fs.Bad()) || c.want != "" && (made != nil || len(fs) != 1 || fs[0].Code != diag.Code(c.want) || fs[0].Line < 3) {
			t.Errorf("%s: want %q, got %.300v", name, c.want, fs)
		}
		if taken > 400 {
			t.Errorf("%s takes %d MB", name, taken)
		}
	}
}
