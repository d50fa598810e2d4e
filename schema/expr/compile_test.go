package expr_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema/expr"
)

var kinds = map[string]expr.Kind{"any": expr.Any, "bool": expr.Bool, "int": expr.Int, "number": expr.Number, "text": expr.Text,
	"list": expr.List, "object": expr.Object, "file": expr.File, "folder": expr.Folder, "model": expr.Model, "artifact": expr.Artifact}

func TestCompileSays(t *testing.T) {
	input, err := os.ReadFile("testdata/check.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(input)), "\n") {
		want, src, ok := strings.Cut(line, " ⊢ ")
		if !ok {
			want, src, ok = strings.Cut(line, " ⊢")
		}
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		fmt.Fprintf(&out, "%s ⊢ %s\n", want, src)
		compiled, errs := expr.Compile(src, scope(), kind(kinds[want]))
		describe(&out, src, compiled, errs)
	}
	golden(t, "check.golden", out.String())
}

func describe(out *strings.Builder, src string, c *expr.Compiled, errs []expr.Error) {
	for _, e := range errs {
		underline(out, src, e)
	}
	if c == nil {
		return
	}
	moment := "when planned"
	if c.Moment == expr.RunTime {
		moment = "during the run"
	}
	fmt.Fprintf(out, "    %s, known %s\n", c.Type, moment)
	for _, r := range c.Refs {
		fmt.Fprintf(out, "    ref %s = %q defaulted=%v\n", strings.Join(r.Path, "/"), src[r.Offset:r.End], r.Defaulted)
	}
	for _, name := range c.Calls {
		fmt.Fprintf(out, "    calls %s\n", name)
	}
}

func underline(out *strings.Builder, src string, e expr.Error) {
	before := len([]rune(src[:e.Offset]))
	marked := len([]rune(src[e.Offset:e.End]))
	fmt.Fprintf(out, "    %s%s\n", strings.ReplaceAll(src, "\n", "⏎"), "")
	fmt.Fprintf(out, "    %s%s\n", strings.Repeat(" ", before), strings.Repeat("^", max(marked, 1)))
	fmt.Fprintf(out, "    [%s] %s\n", e.Code, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(out, "    hint: %s\n", e.Hint)
	}
	if e.Name != "" {
		fmt.Fprintf(out, "    parent=%s name=%s known=%s\n", strings.Join(e.Parent, "/"), e.Name, clipped(e.Known))
	}
}

func clipped(names []string) string {
	if len(names) > 6 {
		return fmt.Sprintf("%s … (%d)", strings.Join(names[:6], ","), len(names))
	}
	return strings.Join(names, ",")
}

func TestScopeObjectsAreKnownWithTheirLastField(t *testing.T) {
	c, errs := expr.Compile("stages", scope(), expr.Type{})
	if errs != nil {
		t.Fatal(errs)
	}
	if c.Moment != expr.RunTime {
		t.Error("an object with fields of the run is taken as known when planned")
	}
}

// A reference inside ?? and the same outside it must both be seen: only the first copes with absence.
func TestDefaultedIsPerUse(t *testing.T) {
	c, errs := expr.Compile("(stages.train.metrics.accuracy ?? 0) + stages.train.metrics.accuracy", scope(), expr.Type{})
	if errs != nil {
		t.Fatal(errs)
	}
	var got []bool
	for _, r := range c.Refs {
		got = append(got, r.Defaulted)
	}
	if diff := cmp.Diff([]bool{true, false}, got); diff != "" {
		t.Error(diff)
	}
}
