package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/amlflow/amlflow/schema"
)

func TestRewrite(t *testing.T) {
	const text = "\ufeff# head\r\nstages:\r\n  ü: { uses: git+https://h/r//x@v1 } # git+https://h/r//x@v1\r\n  b:\r\n    uses:   &a 'git+https://h/r//x@v1'\r\n  c: { uses: *a }\r\n  d: { uses: \"git+https://h/r//y@v1\" }\r\n  e:\r\n    uses: >-\r\n      git+https://h/r//x@v1\r\n  f: { uses: \"git+https:\\x2f/h/r//x@v1\" }"
	const want = "\ufeff# head\r\nstages:\r\n  ü: { uses: ./new/x } # git+https://h/r//x@v1\r\n  b:\r\n    uses:   &a './new/x'\r\n  c: { uses: *a }\r\n  d: { uses: \"./new/y.longer\" }\r\n  e:\r\n    uses: >-\r\n      git+https://h/r//x@v1\r\n  f: { uses: \"git+https:\\x2f/h/r//x@v1\" }"
	var edits []schema.Edit
	for _, name := range []string{"ü", "b", "c", "e", "f"} {
		edits = append(edits, schema.Edit{Path: "/stages/" + name + "/uses", Old: "git+https://h/r//x@v1", New: "./new/x"})
	}
	edits = append(edits, schema.Edit{Path: "/stages/d/uses", Old: "git+https://h/r//y@v1", New: "./new/y.longer"}, schema.Edit{Path: "/stages/none/uses", Old: "x", New: "y"})
	got, left := schema.Rewrite([]byte(text), edits)
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if len(left) != 3 || left[0].Path != "/stages/e/uses" || left[1].Path != "/stages/f/uses" || left[2].Path != "/stages/none/uses" {
		t.Errorf("left: %v", left)
	}
	if same, left := schema.Rewrite([]byte("a: [\n"), edits); string(same) != "a: [\n" || len(left) != len(edits) {
		t.Errorf("a broken file became %q", same)
	}
}
